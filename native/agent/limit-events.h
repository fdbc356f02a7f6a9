// What the kernel has counted of limits that were met.
#pragma once
#include <cstdint>
#include <string_view>

#include "common/unique-fd.h"

namespace plybox {

// How often the kernel has killed for want of memory in the sandbox's memory cgroup, but for what lived in a cgroup
// below it that counts memory too.
class MemoryEvents {
 public:
  // `cgroup` is its directory; without one the count stays 0.
  MemoryEvents(const UniqueFd& cgroup, int version);

  bool available() const { return static_cast<bool>(file_); }
  uint64_t kills() const;

 private:
  UniqueFd file_;
};

// How often a fork was refused in the whole sandbox for its limit of processes. Only version 2 counts that there:
// version 1 counts it where the process was that wanted to fork, and so does version 2 before Linux 6.11 once commands
// have counts of their own.
class PidsEvents {
 public:
  // `cgroup` is its directory; without one the count stays 0.
  PidsEvents(const UniqueFd& cgroup, int version);

  uint64_t refused_forks() const;

 private:
  UniqueFd file_;
};

// The number in the line `oom_kill N` of memory.events or memory.oom_control; 0 where there is none.
uint64_t parse_oom_kills(std::string_view text);

// The number in the line `max N` of an open pids.events; 0 where it cannot be read.
uint64_t read_refused_forks(const UniqueFd& file);

}  // namespace plybox

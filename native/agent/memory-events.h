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

// The number in the line `oom_kill N` of memory.events or memory.oom_control; 0 where there is none.
uint64_t parse_oom_kills(std::string_view text);

}  // namespace plybox

// A process that has been forked and confined before anything is asked for, and waits to be told what to become.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox::single {

struct Program {
  const std::vector<std::string>& argv;
  const std::vector<std::string>& candidates;
  const std::vector<std::string>& environment;
  int stdio[3];
  uint64_t cpu_seconds;  // of RLIMIT_CPU; 0: none
  uint64_t data_bytes;   // of RLIMIT_DATA; 0: none
  uint64_t processes;    // of RLIMIT_NPROC
};

class SpareChild {
 public:
  // In its own session, without privileges, as `user`, in `directory`.
  static Result<SpareChild> start(const std::string& directory, std::optional<std::pair<uid_t, gid_t>> user);

  pid_t pid() const { return pid_; }
  // Answers false where it is gone already.
  bool become(const Program& program);
  // Why it could not become the program; nothing while it may yet, or once it has.
  std::optional<Failure> failure() const;

 private:
  SpareChild(pid_t pid, UniqueFd control) : pid_(pid), control_(std::move(control)) {}

  pid_t pid_;
  UniqueFd control_;
};

}  // namespace plybox::single

// The sandboxes that this launcher watches, and the destructions that wait for one of them to end.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "common/json.h"
#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox {

struct Ending {
  int code = -1;  // -1: unknown or ended by a signal
  int signal = 0;
};

// What is left of a sandbox on the host once its processes have ended.
struct Remains {
  uint32_t channel;
  std::vector<std::string> cgroups;
  std::vector<std::string> unmount;
  std::vector<std::string> remove;  // files and empty directories, in this order
  std::string fail_at;              // empty: nothing is made to fail
  Result<> unmounted;               // what became of mounts that were taken off apart
  int tries = 0;
};

struct Watched {
  pid_t pid;
  uint64_t start_time;
  UniqueFd pidfd;
  uint32_t channel;              // 0: nobody is told of the end
  std::vector<Remains> remains;  // destructions that wait for the end
  bool unmounts = false;         // no sandbox: it takes their mounts off, and its exit code is an errno
  const char* works = nullptr;   // no sandbox: it does this step for a request, and its exit code is an errno
};

// `allow_faults` admits `failAt`.
Remains read_remains(JsonObject& request, uint32_t channel, bool allow_faults);

// Whether taking the mounts off writes to a disk, for which nobody else is to wait.
bool unmounts_slowly(const Remains& remains);

// Takes the mounts off. The first failure is the answer.
Result<> clear_mounts(const Remains& remains);

// Takes the remains away. EBUSY of a cgroup: to be called again a moment later.
Result<> clear_remains(const Remains& remains);

// Opens a process that is not this launcher's child, if it is still the one meant.
Result<UniqueFd> open_process(pid_t pid, uint64_t start_time);

// How the process ended; only what the kernel tells a parent.
Ending ending_of(int pidfd);

}  // namespace plybox

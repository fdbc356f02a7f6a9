// What the processes of an execution have used: all that descends from the agent, for it runs one at a time.
#pragma once
#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace plybox::single {

class Usage {
 public:
  // `exempt` are children of the agent that, with what descends from them, are none of the execution's.
  explicit Usage(const std::vector<pid_t>& exempt) : exempt_(&exempt) {}

  // Anew, for a new phase: nothing lives.
  void reset();
  void reaped(const rusage& usage);
  // Looks at every living process.
  void sample();

  // User and system time of the whole tree, as far as it is known.
  uint64_t cpu_us() const { return cpu_us_; }
  uint64_t resident_bytes() const { return resident_; }
  // The most that one process ever had resident, as the kernel counted, or all together in a sample.
  uint64_t peak_bytes() const { return peak_; }
  // Living, as of the last sample.
  const std::vector<pid_t>& processes() const { return processes_; }

 private:
  const std::vector<pid_t>* exempt_;
  uint64_t reaped_us_ = 0;
  // Of processes whose parent does not wait for them, the kernel adds the time to nobody.
  uint64_t seen_us_ = 0;
  struct Seen {
    pid_t pid;
    uint64_t start;
    uint64_t us;
  };
  std::vector<Seen> seen_;
  uint64_t cpu_us_ = 0;
  uint64_t resident_ = 0;
  uint64_t peak_ = 0;
  std::vector<pid_t> processes_;
};

}  // namespace plybox::single

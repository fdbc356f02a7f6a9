// The processor time of everything that a command started, by looking at it again and again.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "agent/ending.h"
#include "agent/event-loop.h"

namespace plybox {

// What a process that ended had used is known from when it was last seen, or from the parent that waited for it. What
// lived and ended between two looks without anybody waiting for it is not counted.
class CpuMeter {
 public:
  // `over` is called once, when more than `limit_ms` have been used.
  CpuMeter(EventLoop& loop, ProcessSet& processes, uint64_t limit_ms, std::function<void()> over);

  void stop() { timer_.stop(); }

 private:
  // A process with the time that it and its children that it waited for have used.
  struct Seen {
    pid_t pid;
    pid_t parent;
    uint64_t start_time;
    uint64_t ticks;
  };
  void look();
  uint64_t used_ms();

  ProcessSet& processes_;
  uint64_t limit_ms_;
  std::function<void()> over_;
  Timer timer_;
  std::vector<Seen> seen_;
  uint64_t gone_ticks_ = 0;
};

}  // namespace plybox

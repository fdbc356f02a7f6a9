#include "agent/cpu-meter.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>

namespace plybox {
namespace {

// The kernel counts in hundredths of a second: looking more often would show nothing new.
constexpr uint64_t kShortestPauseMs = 10;
constexpr uint64_t kLongestPauseMs = 100;

}  // namespace

CpuMeter::CpuMeter(EventLoop& loop, ProcessSet& processes, uint64_t limit_ms, std::function<void()> over)
    : processes_(processes), limit_ms_(limit_ms), over_(std::move(over)), timer_(loop, [this] { look(); }) {
  look();
}

uint64_t CpuMeter::used_ms() {
  static const uint64_t ticks_per_second = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  std::vector<Seen> now;
  for (const Process& process : processes_.members()) {
    now.push_back({process.pid, process.parent, process.start_time, process.ticks});
  }
  auto lives = [&](pid_t pid, uint64_t start_time) {
    return std::any_of(now.begin(), now.end(), [&](const Seen& one) {
      return one.pid == pid && (start_time == 0 || one.start_time == start_time);
    });
  };
  for (const Seen& one : seen_) {
    // A parent that lives has waited for it, which added its time to the parent's.
    if (!lives(one.pid, one.start_time) && !lives(one.parent, 0)) gone_ticks_ += one.ticks;
  }
  seen_ = std::move(now);
  uint64_t ticks = gone_ticks_;
  for (const Seen& one : seen_) ticks += one.ticks;
  return ticks * 1000 / ticks_per_second;
}

void CpuMeter::look() {
  uint64_t used = used_ms();
  if (used >= limit_ms_) return over_();
  static const uint64_t processors = static_cast<uint64_t>(std::max(1l, sysconf(_SC_NPROCESSORS_ONLN)));
  // No sooner than it can have used the rest on every processor.
  timer_.start(std::clamp((limit_ms_ - used) / processors, kShortestPauseMs, kLongestPauseMs));
}

}  // namespace plybox

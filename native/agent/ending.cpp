#include "agent/ending.h"

#include <signal.h>

#include <algorithm>

#include "agent/clock.h"

namespace plybox {
namespace {

constexpr uint64_t kGraceUs = 1000000;
// A process that cannot be killed, because the kernel waits for a device, must not hold back the report for ever.
constexpr uint64_t kPatienceUs = 6000000;
constexpr uint64_t kFirstPauseMs = 2;
constexpr uint64_t kLongestPauseMs = 50;

}  // namespace

Ending::Ending(EventLoop& loop, ProcessSet& processes, Pace pace, std::function<void()> over)
    : processes_(processes),
      on_over_(std::move(over)),
      timer_(loop, [this] { step(); }),
      grace_us_(pace == Pace::kGentle ? kGraceUs : 0),
      began_us_(now_us()),
      pause_ms_(kFirstPauseMs) {
  if (pace == Pace::kGentle) processes_.signal_session(SIGTERM);
  timer_.start(pause_ms_);
}

// A tick and not a busy loop: a fork bomb in its death throes leaves the processor to others.
void Ending::step() {
  uint64_t passed = now_us() - began_us_;
  if (!killing_ && passed >= grace_us_) {
    killing_ = true;
    pause_ms_ = kFirstPauseMs;
  }
  if (killing_) processes_.kill_all();
  if (processes_.empty() || passed >= kPatienceUs) {
    over_ = true;
    return on_over_();
  }
  pause_ms_ = std::min(pause_ms_ * 2, kLongestPauseMs);
  uint64_t left_ms = passed < grace_us_ ? (grace_us_ - passed + 999) / 1000 : kLongestPauseMs;
  timer_.start(std::min(pause_ms_, left_ms));
}

}  // namespace plybox

#include "agent/event-loop.h"

#include <algorithm>
#include <climits>

#include "agent/clock.h"

namespace plybox {

Result<> EventLoop::open() {
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return Failure::here("epoll-create");
  return {};
}

Result<> EventLoop::watch(int fd, uint32_t events, Watched& watched) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watched;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return Failure::here("epoll-add");
  return {};
}

void EventLoop::change(int fd, uint32_t events, Watched& watched) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &watched;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::unwatch(int fd, Watched& watched) {
  epoll_event event{};
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, &event);
  for (int i = next_; i < count_; i++) {
    if (events_[i].data.ptr == &watched) events_[i].data.ptr = nullptr;
  }
}

void EventLoop::run(const std::function<void()>& after_turn) {
  while (!stopped_) {
    next_ = 0;
    count_ = std::max(0, epoll_wait(epoll_.get(), events_, std::size(events_), timeout_ms()));
    while (next_ < count_) {
      epoll_event& event = events_[next_++];
      if (event.data.ptr != nullptr) static_cast<Watched*>(event.data.ptr)->ready(event.events);
    }
    fire();
    after_turn();
  }
}

int EventLoop::timeout_ms() const {
  if (timers_.empty()) return -1;
  uint64_t first = UINT64_MAX;
  for (const Timer* timer : timers_) first = std::min(first, timer->deadline_us_);
  uint64_t now = now_us();
  if (first <= now) return 0;
  // Rounded up: a timer never fires early.
  return static_cast<int>(std::min<uint64_t>((first - now + 999) / 1000, INT_MAX));
}

void EventLoop::fire() {
  if (timers_.empty()) return;
  uint64_t now = now_us();
  // A callback may start, stop and destroy timers, so the search begins anew after each. None is served twice in a
  // turn: what a callback starts lies behind `now`.
  for (;;) {
    auto due = std::find_if(timers_.begin(), timers_.end(), [&](Timer* timer) { return timer->deadline_us_ <= now; });
    if (due == timers_.end()) return;
    Timer* timer = *due;
    timer->stop();
    timer->callback_();
  }
}

void Timer::start(uint64_t ms) {
  if (!running()) loop_.timers_.push_back(this);
  constexpr uint64_t kLongestMs = UINT64_MAX / 4000;
  deadline_us_ = now_us() + std::max<uint64_t>(1, std::min(ms, kLongestMs) * 1000);
}

void Timer::stop() {
  if (!running()) return;
  std::erase(loop_.timers_, this);
  deadline_us_ = 0;
}

}  // namespace plybox

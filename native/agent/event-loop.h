// One epoll set, timers, and what is to be done after each turn.
#pragma once
#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox {

// Something that waits for its descriptor.
class Watched {
 public:
  virtual void ready(uint32_t events) = 0;

 protected:
  ~Watched() = default;
};

class Timer;

class EventLoop {
 public:
  Result<> open();
  Result<> watch(int fd, uint32_t events, Watched& watched);
  void change(int fd, uint32_t events, Watched& watched);
  // No event reaches `watched` from then on, not even one of the turn that runs.
  void unwatch(int fd, Watched& watched);

  // Serves turns until stop(). `after_turn` runs once all that was ready in a turn has been served, so that what it
  // sends goes out in one system call.
  void run(const std::function<void()>& after_turn);
  void stop() { stopped_ = true; }

 private:
  friend class Timer;
  int timeout_ms() const;
  void fire();

  UniqueFd epoll_;
  std::vector<Timer*> timers_;
  // Events of this turn that have not been served.
  epoll_event events_[32];
  int next_ = 0;
  int count_ = 0;
  bool stopped_ = false;
};

// Calls back once, some time after start(). Belongs to the loop that it was made with.
class Timer {
 public:
  Timer(EventLoop& loop, std::function<void()> callback) : loop_(loop), callback_(std::move(callback)) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { stop(); }

  // Replaces the time that an earlier start() set.
  void start(uint64_t ms);
  void stop();
  bool running() const { return deadline_us_ != 0; }

 private:
  friend class EventLoop;
  EventLoop& loop_;
  std::function<void()> callback_;
  uint64_t deadline_us_ = 0;
};

}  // namespace plybox

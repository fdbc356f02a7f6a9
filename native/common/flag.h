#pragma once
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace plybox {

// A flag that one thread raises and another waits for and lowers; the other may be a process that shares the memory.
// Whoever is killed while it waits leaves nothing half done, as it would in the library's own functions.
class Flag {
 public:
  void raise() {
    raised_.store(1);
    syscall(SYS_futex, word(), FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  }
  void await() {
    while (raised_.exchange(0) == 0) syscall(SYS_futex, word(), FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
  }
  bool is_raised() const { return raised_.load() != 0; }
  void lower() { raised_.store(0); }

 private:
  uint32_t* word() { return reinterpret_cast<uint32_t*>(&raised_); }

  std::atomic<uint32_t> raised_{0};
  static_assert(std::atomic<uint32_t>::is_always_lock_free && sizeof(raised_) == sizeof(uint32_t));
};

}  // namespace plybox

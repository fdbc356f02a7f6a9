#include "agent/set-up.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "common/syscalls.h"

namespace plybox {

// Descriptors 0, 1 and 2 must be taken: a command's pipe that got such a number would be lost when it is put there.
Result<UniqueFd> open_null_device() {
  for (;;) {
    UniqueFd fd(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!fd) return Failure::here("null-device");
    if (fd.get() > 2) return fd;
    fcntl(fd.release(), F_SETFD, 0);
  }
}

// What else the agent was started with, nobody here knows how to use.
void close_others(std::vector<int> kept) {
  kept.push_back(2);
  std::sort(kept.begin(), kept.end());
  for (size_t i = 0; i < kept.size(); i++) {
    if (kept[i] < 2) continue;
    unsigned first = static_cast<unsigned>(kept[i]) + 1;
    unsigned last = i + 1 < kept.size() ? static_cast<unsigned>(kept[i + 1]) - 1 : ~0u;
    if (first <= last) sys::close_range(first, last, 0);
  }
}

UniqueFd adopt(int fd) {
  if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return UniqueFd(fd);
}

// What started the daemon may ignore signals, as nohup and make do, and the commands would inherit that. The system
// call itself: the C library keeps two of the numbers to itself.
static void heed_signals() {
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    uint64_t mask;
  } inherited{}, standard{};
  for (int number = 1; number <= 64; number++) {
    long asked = syscall(SYS_rt_sigaction, number, nullptr, &inherited, sizeof(standard.mask));
    if (asked == 0 && inherited.handler == SIG_IGN)
      syscall(SYS_rt_sigaction, number, &standard, nullptr, sizeof(standard.mask));
  }
}

Result<UniqueFd> block_signals() {
  heed_signals();
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, nullptr);
  // Also ignored: blocked, it would stay pending for good.
  signal(SIGPIPE, SIG_IGN);
  sigset_t read;
  sigemptyset(&read);
  for (int number : {SIGCHLD, SIGTERM, SIGINT}) sigaddset(&read, number);
  UniqueFd fd(signalfd(-1, &read, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return Failure::here("signalfd");
  return fd;
}

void guard_process() {
  prctl(PR_SET_NAME, "plyagent");
  // Nobody inside may read its memory or trace it, root of the sandbox neither.
  prctl(PR_SET_DUMPABLE, 0);
  // Outside of a sandbox, in tests: orphans come to it all the same.
  if (getpid() != 1) prctl(PR_SET_CHILD_SUBREAPER, 1);
  umask(022);
}

}  // namespace plybox

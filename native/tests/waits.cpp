#include "tests/waits.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "agent/clock.h"
#include "common/syscalls.h"
#include "common/unique-fd.h"

namespace plybox::test {
namespace {

// Nothing takes as long; what waits so long hangs.
constexpr int kHangMs = 60000;

}  // namespace

void eventually(const std::function<bool()>& done) {
  uint64_t began_us = now_us();
  while (!done()) {
    REQUIRE_MESSAGE(now_us() - began_us < kHangMs * 1000, "it never happens");
    poll(nullptr, 0, 1);
  }
}

int wait_for(pid_t child) {
  UniqueFd process(sys::pidfd_open(child, 0));
  bool ends = readable(process.get());
  CHECK_MESSAGE(ends, "a process that was told to end does not, and is killed");
  if (!ends) kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

void bound_waiting(int socket) {
  timeval most{kHangMs / 1000, 0};
  for (int direction : {SO_RCVTIMEO, SO_SNDTIMEO}) setsockopt(socket, SOL_SOCKET, direction, &most, sizeof(most));
}

bool readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return poll(&one, 1, kHangMs) == 1;
}

void skipped(const std::string& reason) { MESSAGE("skipped: " << reason); }

bool has_ended(pid_t pid) {
  UniqueFd process(sys::pidfd_open(pid, 0));
  pollfd one{process.get(), POLLIN, 0};
  return !process || poll(&one, 1, 0) == 1;
}

}  // namespace plybox::test

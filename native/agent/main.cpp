// plyagent: PID 1 of a sandbox. Runs commands for the host and keeps their output. docs/protocol.md is what it speaks.
//
// Theory of operation
//
// One thread, one epoll loop (event-loop.h). A turn serves every descriptor that is ready, then sends what has come of
// it: at most one system call a connection (batch.h). Nothing blocks but the start of a process.
//
//   Connection ─┬▶ ExecChannel ──▶ Exec ──▶ Output ×2, each with its Ring
//   frames      │  credit,         one      └▶ Input
//   in and out  │  offsets         command  └▶ ProcessSet, Ending, CommandCgroup
//               └▶ DialChannel ──▶ Output, Input: of one socket
//
// - A Connection turns bytes into requests and serves its channels in turn. Whatever arrives, only that connection can
//   be closed by it.
// - An Exec does not depend on who listens. Its output goes into rings addressed by offset; an ExecChannel is a reader
// at
//   some offset, and a new one may take its place at any time. While somebody listens, a ring that is full of unsent
//   bytes stops the reading, and the pipe stops the command; while nobody does, the ring writes over its oldest bytes.
// - A process is started as by vfork (child.cpp), so that it costs the same whatever the agent holds in memory. It
// joins
//   its own cgroup before it can start anything, so that an Ending finds all of what it started.
// - An `exit` frame follows once the main process has been reaped, what it wrote has been read, and, where a limit
// ended
//   it, nothing that it started is left.
// - Every signal is blocked and read from a descriptor. SIGCHLD leads to reaping, of orphans too; SIGTERM and SIGINT
// stop
//   the sandbox as the request `stop` does.
//
// Memory is what the commands' rings hold and at most one frame a connection; frames that wait for a slow host are
// bounded by its credit, and its requests are not read while its answers wait.
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "agent/agent.h"
#include "agent/options.h"
#include "common/errno-name.h"
#include "common/syscalls.h"

namespace plybox {
namespace {

void complain(const std::string& text) {
  std::string line = "plyagent: " + text + "\n";
  (void)!write(2, line.data(), line.size());
}

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
void close_others(const Options& options) {
  std::vector<int> kept = {2};
  for (int fd : {options.listen_fd, options.track_fd, options.memory_fd}) {
    if (fd >= 0) kept.push_back(fd);
  }
  std::sort(kept.begin(), kept.end());
  for (size_t i = 0; i < kept.size(); i++) {
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
void heed_signals() {
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

Result<Descriptors> set_up(const Options& options) {
  prctl(PR_SET_NAME, "plyagent");
  // Nobody inside may read its memory or trace it, root of the sandbox neither.
  prctl(PR_SET_DUMPABLE, 0);
  // Outside of a sandbox, in tests: orphans come to it all the same.
  if (getpid() != 1) prctl(PR_SET_CHILD_SUBREAPER, 1);
  umask(022);
  close_others(options);

  Descriptors descriptors;
  descriptors.listen = adopt(options.listen_fd);
  descriptors.track = adopt(options.track_fd);
  descriptors.memory = adopt(options.memory_fd);
  if (fcntl(options.listen_fd, F_SETFL, O_NONBLOCK) != 0) return Failure::here("listen-fd");
  Result<UniqueFd> null_device = open_null_device();
  if (!null_device) return null_device.failure();
  descriptors.null_device = null_device.take();
  Result<UniqueFd> signals = block_signals();
  if (!signals) return signals.failure();
  descriptors.signals = signals.take();
  return descriptors;
}

int fail(Failure failure) {
  complain(std::string(failure.step) + ": " + errno_name(failure.error));
  return 1;
}

int run(int argc, char** argv) {
  Options options;
  if (std::string problem = parse_options(argc, argv, options); !problem.empty()) {
    complain(problem);
    return 2;
  }
  Result<Descriptors> descriptors = set_up(options);
  if (!descriptors) return fail(descriptors.failure());
  Agent agent(options, descriptors.take(), environ);
  Result<> served = agent.run();
  return served ? 0 : fail(served.failure());
}

}  // namespace
}  // namespace plybox

int main(int argc, char** argv) { return plybox::run(argc, argv); }

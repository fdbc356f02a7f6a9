#include "tests/watch.h"

#include <poll.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "agent/clock.h"
#include "agent/processes.h"
#include "common/signals.h"
#include "common/syscalls.h"
#include "common/unique-fd.h"

namespace plybox::test {
namespace {

// To show where it is, which asks a process for its own stack.
constexpr int kShowMs = 10000;
constexpr int kMostLooks = 10000;

constexpr char kBegun = 'b', kPassed = 'p', kFailed = 'f';

int told = -1;

void tell(char kind, const char* name) {
  std::string text = kind + std::string(name);
  (void)!send(told, text.data(), text.size(), MSG_NOSIGNAL);
}

void show_stack(int) {
  __sanitizer_print_stack_trace();
  _exit(1);
}

std::string content(const std::string& path) {
  std::ifstream file(path);
  std::string text(std::istreambuf_iterator<char>(file), {});
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text.substr(0, text.find('\n')).substr(0, 200);
}

// Each thread with what it waits for in the kernel: the function, and the system call with its arguments.
void show(const Process& process) {
  const std::string directory = "/proc/" + std::to_string(process.pid);
  std::fprintf(stderr, "  %d, a child of %d: %s\n", process.pid, process.parent,
               content(directory + "/cmdline").c_str());
  std::error_code gone;
  for (const auto& thread : std::filesystem::directory_iterator(directory + "/task", gone)) {
    const std::string path = thread.path();
    std::fprintf(stderr, "    %s in %s, system call %s\n", thread.path().filename().c_str(),
                 content(path + "/wchan").c_str(), content(path + "/syscall").c_str());
  }
}

// What is above the tests.
class Watch {
 public:
  Watch(pid_t tests, UniqueFd channel, UniqueFd signals, int limit_ms)
      : tests_(tests), channel_(std::move(channel)), signals_(std::move(signals)), limit_ms_(limit_ms) {}

  int run() {
    while (!ended_) step();
    end_below();
    std::printf("native: %u passed, %u failed\n", passed_, failed_);
    return passed_ > 0 && failed_ == 0 ? code_ : 1;
  }

 private:
  void step() {
    pollfd both[2] = {{channel_.get(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
    if (poll(both, 2, left_ms()) == 0) return give_up("has taken longer than it may");
    hear();
    signalfd_siginfo info;
    if (read(signals_.get(), &info, sizeof(info)) != sizeof(info)) return;
    if (info.ssi_signo != SIGCHLD) return give_up("was ended by " + signal_name(static_cast<int>(info.ssi_signo)));
    reap();
  }

  // Before the first test case there is nothing that could hang.
  int left_ms() const {
    if (deadline_us_ == 0) return -1;
    uint64_t now = now_us();
    return now >= deadline_us_ ? 0 : static_cast<int>((deadline_us_ - now + 999) / 1000);
  }

  void hear() {
    char text[512];
    for (ssize_t count; (count = recv(channel_.get(), text, sizeof(text), 0)) > 0;) {
      deadline_us_ = now_us() + static_cast<uint64_t>(limit_ms_) * 1000;
      inside_ = text[0] == kBegun;
      if (inside_) name_.assign(text + 1, static_cast<size_t>(count) - 1);
      passed_ += text[0] == kPassed;
      failed_ += text[0] == kFailed;
    }
  }

  // Orphans come here, too.
  void reap() {
    int status = 0;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid == tests_) note_end(status);
    }
  }

  void note_end(int status) {
    hear();
    ended_ = true;
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    if (WIFEXITED(status) && !inside_) return;
    failed_++;
    std::string how = WIFSIGNALED(status) ? signal_name(WTERMSIG(status)) : "exit code " + std::to_string(code_);
    std::fprintf(stderr, "native: the process of the tests has ended in %s with %s\n", where().c_str(), how.c_str());
  }

  void give_up(const std::string& why) {
    hear();
    ended_ = true;
    failed_++;
    std::fprintf(stderr, "native: %s %s. What there is of it:\n", where().c_str(), why.c_str());
    for (const Process& process : below()) show(process);
    kill(tests_, SIGQUIT);
    UniqueFd process(sys::pidfd_open(tests_, 0));
    pollfd one{process.get(), POLLIN, 0};
    poll(&one, 1, kShowMs);
  }

  std::string where() const {
    if (name_.empty()) return "what precedes the first test case";
    return (inside_ ? "the test case \"" : "what follows the test case \"") + name_ + '"';
  }

  static std::vector<Process> below() { return descendants(list_processes(), getpid()); }

  // Until nothing is left: what was forked while the list was read is found by the next look. Not for ever, because
  // what waits for a device cannot be ended.
  static void end_below() {
    std::vector<Process> all;
    for (int look = 0; look < kMostLooks && !(all = below()).empty(); look++) {
      for (const Process& process : all) kill(process.pid, SIGKILL);
      poll(nullptr, 0, 1);
    }
  }

  pid_t tests_;
  UniqueFd channel_, signals_;
  int limit_ms_;
  uint64_t deadline_us_ = 0;
  std::string name_;
  bool inside_ = false;  // of the test case, and not behind it
  bool ended_ = false;
  unsigned passed_ = 0, failed_ = 0;
  int code_ = 1;
};

}  // namespace

int watch(const std::function<int()>& tests, int limit_ms) {
  sigset_t heard, before;
  sigemptyset(&heard);
  for (int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP}) sigaddset(&heard, number);
  sigprocmask(SIG_BLOCK, &heard, &before);
  UniqueFd signals(signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK));
  int ends[2];
  if (!signals || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return 1;
  UniqueFd ours(ends[0]), theirs(ends[1]);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  std::fflush(stdout);
  pid_t pid = fork();
  if (pid < 0) return 1;
  if (pid > 0) {
    theirs.reset();
    return Watch(pid, std::move(ours), std::move(signals), limit_ms).run();
  }
  ours.reset();
  told = theirs.release();
  ::signal(SIGQUIT, show_stack);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  std::exit(tests());
}

void tell_begun(const char* name) { tell(kBegun, name); }
void tell_ended(bool passed) { tell(passed ? kPassed : kFailed, ""); }

}  // namespace plybox::test

#include "tests/watch.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "common/unique-fd.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

namespace {

struct Run {
  int code;
  std::string said;
};

// A watch over `tests`, as a process of its own, which gets `signal` once it has said `awaited`.
Run watched(const std::function<int()>& tests, int limit_ms, const char* awaited = nullptr, int signal = 0) {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  UniqueFd reads(ends[0]), writes(ends[1]);
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    dup2(writes.get(), 1);
    dup2(writes.get(), 2);
    int code = watch(tests, limit_ms);
    std::fflush(stdout);
    _exit(code);
  }
  writes.reset();
  Run run;
  char piece[4096];
  for (ssize_t count; (count = read(reads.get(), piece, sizeof(piece))) > 0;) {
    run.said.append(piece, static_cast<size_t>(count));
    if (awaited != nullptr && run.said.find(awaited) != std::string::npos) {
      kill(pid, signal);
      awaited = nullptr;
    }
  }
  int status = 0;
  waitpid(pid, &status, 0);
  run.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return run;
}

bool says(const Run& run, const char* text) { return run.said.find(text) != std::string::npos; }

// Starts a process that nobody below the watch knows of any more, which writes its pid, and returns when it has.
void leave_process() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) _exit(1);
  UniqueFd reads(ends[0]), writes(ends[1]);
  if (fork() == 0) {
    setsid();
    if (fork() > 0) _exit(0);
    std::string line = "left " + std::to_string(getpid()) + "\n";
    (void)!write(1, line.data(), line.size());
    writes.reset();
    for (;;) pause();
  }
  wait(nullptr);
  writes.reset();
  char none;
  (void)!read(reads.get(), &none, 1);
}

[[noreturn]] void hang_in_test_case() {
  for (;;) pause();
}

}  // namespace

TEST_CASE("a test case that hangs is named and shown, and what it has started is ended") {
  Run run = watched(
      [] {
        leave_process();
        tell_begun("one that hangs");
        hang_in_test_case();
        return 0;
      },
      2000);
  CAPTURE(run.said);
  CHECK(run.code == 1);
  CHECK(says(run, "the test case \"one that hangs\" has taken longer than it may"));
  CHECK(says(run, "hang_in_test_case"));
  CHECK(says(run, "system call"));
  CHECK(says(run, "native: 0 passed, 1 failed\n"));
  size_t left = run.said.find("left ");
  REQUIRE(left != std::string::npos);
  CHECK(has_ended(std::stoi(run.said.substr(left + 5))));
}

TEST_CASE("a run that is ended from outside, and one that dies, say where") {
  auto hang = [] {
    tell_begun("a good one");
    tell_ended(true);
    tell_begun("one that is ended");
    leave_process();
    hang_in_test_case();
    return 0;
  };
  Run ended = watched(hang, 60000, "left ", SIGTERM);
  CAPTURE(ended.said);
  CHECK(ended.code == 1);
  CHECK(says(ended, "the test case \"one that is ended\" was ended by SIGTERM"));
  CHECK(says(ended, "native: 1 passed, 1 failed\n"));
  Run dead = watched(
      [] {
        tell_begun("one that dies");
        return static_cast<int>(kill(getpid(), SIGKILL));
      },
      60000);
  CAPTURE(dead.said);
  CHECK(dead.code == 1);
  CHECK(says(dead, "in the test case \"one that dies\" with SIGKILL"));
  CHECK(says(dead, "native: 0 passed, 1 failed\n"));
}

TEST_CASE("a run that ends by itself is counted, and its exit code is its own") {
  auto two = [] {
    for (const char* name : {"one", "another"}) {
      tell_begun(name);
      tell_ended(true);
    }
    return 0;
  };
  Run good = watched(two, 60000);
  CHECK(good.code == 0);
  CHECK(good.said == "native: 2 passed, 0 failed\n");
  CHECK(watched([&] { return two() + 7; }, 60000).code == 7);
  CHECK(watched([] { return 0; }, 60000).code == 1);
}

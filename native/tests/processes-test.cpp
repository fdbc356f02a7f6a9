#include "agent/processes.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "agent/limit-events.h"
#include "common/signals.h"

using namespace plybox;

namespace {

std::vector<pid_t> pids(const std::vector<Process>& processes) {
  std::vector<pid_t> list;
  for (const Process& process : processes) list.push_back(process.pid);
  std::sort(list.begin(), list.end());
  return list;
}

using Pids = std::vector<pid_t>;

}  // namespace

TEST_CASE("a process is read from its stat line, whatever its name") {
  std::string tail = " S 10 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 2\n";
  for (const char* name : {"sh", "a b", ") S 1 1 1", "((", ""}) {
    CAPTURE(name);
    std::optional<Process> process = parse_stat("42 (" + std::string(name) + ")" + tail);
    REQUIRE(process);
    CHECK(process->pid == 42);
    CHECK(process->parent == 10);
    CHECK(process->group == 20);
    CHECK(process->session == 30);
    CHECK(process->start_time == 987654);
    CHECK_FALSE(process->ended);
  }
  for (const char* text : {"", "42", "42 (x)", "42 (x) S", "42 (x) S 1 2", "x (y) S 1 2 3"})
    CHECK_FALSE(parse_stat(text));
}

TEST_CASE("a process has not ended while it has threads beside its main one") {
  for (auto [threads, ended] : {std::pair("1", true), std::pair("0", true), std::pair("2", false)}) {
    std::optional<Process> process = parse_stat("42 (x) Z 10 20 30 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 " +
                                                std::string(threads) + " 0 987654 1000 2\n");
    REQUIRE(process);
    CHECK(process->ended == ended);
  }
}

TEST_CASE("this very process is among all processes") {
  std::vector<Process> all = list_processes();
  auto self = std::find_if(all.begin(), all.end(), [](const Process& process) { return process.pid == getpid(); });
  REQUIRE(self != all.end());
  CHECK(self->parent == getppid());
  CHECK(self->session == getsid(0));
}

TEST_CASE("relatives are group, session, descendants, and descendants of what was known") {
  std::vector<Process> all = {{1, 0, 1, 1, 1, false},     {10, 1, 10, 10, 2, false},  {11, 10, 10, 10, 3, false},
                              {12, 11, 12, 12, 4, false}, {13, 12, 13, 13, 5, false}, {20, 1, 20, 10, 6, false},
                              {30, 1, 30, 30, 7, false},  {31, 30, 31, 31, 8, false}, {40, 1, 40, 40, 9, false},
                              {14, 10, 10, 10, 10, true}, {15, 14, 15, 15, 11, false}};
  CHECK(pids(relatives(all, 10, {})) == Pids{10, 11, 12, 13, 15, 20});
  CHECK(pids(relatives(all, -1, {{30, 1, 30, 30, 7, false}})) == Pids{30, 31});
  // The same pid with another start time is another process.
  CHECK(pids(relatives(all, -1, {{30, 1, 30, 30, 6, false}})).empty());
  CHECK(pids(descendants(all, 30)) == Pids{31});
}

TEST_CASE("the kernel's count of memory kills is found by its name") {
  CHECK(parse_oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n") == 3);
  CHECK(parse_oom_kills("low 0\nhigh 0\nmax 5\noom 2\noom_kill 1\noom_group_kill 0\n") == 1);
  CHECK(parse_oom_kills("oom_kill 7") == 7);
  CHECK(parse_oom_kills("oom 2\n") == 0);
  CHECK(parse_oom_kills("") == 0);
}

TEST_CASE("signals have names both ways") {
  CHECK(signal_name(9) == "SIGKILL");
  CHECK(signal_name(40) == "SIG40");
  CHECK(signal_number("SIGKILL") == 9);
  CHECK_FALSE(signal_number("KILL"));
}

// Limits: what ends a command, how thoroughly, and by what name.
#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include "tests/agent-process.h"
#include "tests/host.h"
#include "tests/test-cgroup.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

namespace {

// A process that the command cannot be blamed for by group, session or parents, and that does not heed SIGTERM.
const char* const kDaemon = R"((setsid sh -c 'trap "" TERM; echo $$; while :; do sleep 1000; done' &); )";

constexpr uint64_t kGraceMs = 1000;

struct Begun {
  Outcome outcome;
  pid_t pid;
  uint64_t wall_ms;
};

// Opens a command on channel 1 that first writes a line, which begins with the pid of a process, with a wall limit that
// leaves it the time for that, however slow the machine is. `look` is called while that process lives.
Begun until_pid(
    Host& host, const std::function<std::string(const std::string& limit)>& request,
    const std::function<void(const Begun&)>& look = [](const Begun&) {}) {
  for (uint64_t wall_ms = 300;; wall_ms *= 4) {
    host.open(1, request("\"wallMs\":" + std::to_string(wall_ms)));
    Outcome outcome;
    while (outcome.out.find('\n') == std::string::npos && outcome.last.kind != Kind::kExit)
      host.take(outcome, host.next());
    if (outcome.last.kind != Kind::kExit) {
      Begun begun{outcome, std::stoi(outcome.out), wall_ms};
      look(begun);
      if (!has_ended(begun.pid)) return begun;
      host.collect(1);
    }
    REQUIRE_MESSAGE(wall_ms < 60000, "the command never writes its line");
  }
}

void check_wall_limit(const std::string& program, const AgentSettings& settings) {
  AgentProcess agent(program, settings);
  Host host = agent.connect();
  Begun begun = until_pid(
      host, [](const std::string& limit) { return shell_request(std::string(kDaemon) + "exec sleep 1000", limit); });
  Outcome outcome = host.collect(1);
  CHECK(outcome.last.text("limit") == "wall");
  CHECK(outcome.last.text("signal") == "SIGTERM");
  CHECK(outcome.last.fraction("wallMs") >= static_cast<double>(begun.wall_ms));
  // The report means that nothing is left.
  CHECK(has_ended(begun.pid));
  Outcome next = host.run(exec_request(R"("argv":["echo","next"])"));
  CAPTURE(next.last.payload);
  CHECK(next.out == "next\n");
}

void check_fork_bomb(const std::string& program, const AgentSettings& settings) {
  AgentProcess agent(program, settings);
  Host host = agent.connect();
  std::string bomb = "(trap '' TERM; b() { b | b & b; }; b 2>/dev/null) & exec sleep 1000";
  Outcome outcome = host.run(shell_request(bomb, R"("wallMs":300)"));
  CHECK(outcome.last.text("limit") == "wall");
  CHECK(host.run(exec_request(R"("argv":["echo","next"])")).out == "next\n");
}

}  // namespace

TEST_CASE("the wall limit ends group and session by SIGTERM, and what does not heed it by SIGKILL") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    Begun begun = until_pid(host, [](const std::string& limit) {
      return shell_request("trap 'echo bye; exit 5' TERM; echo $$; sleep 1000 & wait", limit);
    });
    Outcome heeds = host.collect(1);
    // Where the machine gives it no time at all it may use up what it has for that.
    bool had_time = heeds.last.fraction("wallMs") < static_cast<double>(begun.wall_ms + kGraceMs);
    CHECK((heeds.out == "bye\n" || !had_time));
    CHECK((heeds.last.number("code") == 5 || !had_time));
    CHECK(heeds.last.text("limit") == "wall");

    begun = until_pid(host, [](const std::string& limit) {
      return shell_request("trap '' TERM; echo $$; while :; do sleep 0.1; done", limit);
    });
    Outcome stubborn = host.collect(1);
    CHECK(stubborn.last.text("signal") == "SIGKILL");
    CHECK(stubborn.last.text("limit") == "wall");
    CHECK(stubborn.last.fraction("wallMs") >= static_cast<double>(begun.wall_ms + kGraceMs));
  });
}

TEST_CASE("the wall limit reaches process groups other than the first one of the session") {
  for_each_agent([](const std::string& program) {
    TestCgroup cgroup("pids");
    for (const std::string& track : {std::string(), cgroup.path()}) {
      AgentProcess agent(program, {.track_directory = track});
      Host host = agent.connect();
      // A shell with job control puts each job into a group of its own.
      std::string job = R"((trap "echo job; exit" TERM; echo $BASHPID; while :; do sleep 0.01; done))";
      pid_t group = 0, session = 0;
      auto request = [&](const std::string& limit) {
        return exec_request(
            R"("argv":["bash","-c","set -m; trap 'wait; exit 6' TERM; eval \"$1\" & while :; do wait; done","bash",)" +
            JsonWriter().string(job).text() + "]," + limit);
      };
      Begun begun =
          until_pid(host, request, [&](const Begun& now) { group = getpgid(now.pid), session = getsid(now.pid); });
      pid_t main = static_cast<pid_t>(begun.outcome.ack.number("pid"));
      REQUIRE(group > 0);
      REQUIRE(group != main);
      REQUIRE(session == main);
      Outcome outcome = host.collect(1);
      bool had_time = outcome.last.fraction("wallMs") < static_cast<double>(begun.wall_ms + kGraceMs);
      CHECK((outcome.out == "job\n" || !had_time));
      CHECK(has_ended(begun.pid));
      CHECK(outcome.last.text("limit") == "wall");
    }
  });
}

TEST_CASE("without a cgroup, children in other sessions are found by their parents") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    Begun begun = until_pid(host, [](const std::string& limit) {
      return shell_request(R"(setsid sh -c 'trap "" TERM; echo $$; while :; do sleep 1000; done' & sleep 1000)", limit);
    });
    CHECK(host.collect(1).last.text("limit") == "wall");
    CHECK(has_ended(begun.pid));
  });
}

TEST_CASE("with a cgroup, whatever a command started is found and killed") {
  for (auto [name, version] : {std::pair("pids", 1), std::pair("freezer", 1), std::pair("unified", 2)}) {
    std::string hierarchy = name;
    for_each_agent([&](const std::string& program) {
      TestCgroup cgroup(hierarchy.c_str());
      CAPTURE(hierarchy);
      if (cgroup.path().empty()) return skipped(std::string("no cgroup can be made in ") + hierarchy);
      check_wall_limit(program, {.track_directory = cgroup.path(), .track_version = version});
    });
  }
}

TEST_CASE("a fork bomb does not outrun its end") {
  for (auto [hierarchy, version] : {std::pair("pids", 1)}) {
    for_each_agent([&](const std::string& program) {
      TestCgroup cgroup(hierarchy);
      if (cgroup.path().empty()) return skipped(std::string("no cgroup can be made in ") + hierarchy);
      // For the machine's sake.
      REQUIRE(cgroup.set("pids.max", "300"));
      check_fork_bomb(program, {.track_directory = cgroup.path(), .track_version = version});
    });
  }
}

TEST_CASE("commands in a row use their cgroups again, and those of killed ones are removed") {
  for_each_agent([](const std::string& program) {
    TestCgroup cgroup("pids");
    if (cgroup.path().empty()) return skipped("no cgroup can be made in pids");
    AgentProcess agent(program, {.track_directory = cgroup.path(), .track_version = 1});
    Host host = agent.connect();
    CHECK(cgroup.children() == 1);
    for (int i = 0; i < 20; i++) {
      // One in use, one ahead.
      std::string name = host.run(shell_request("grep -o 'exec-.*' /proc/self/cgroup")).out;
      CHECK((name == "exec-1\n" || name == "exec-2\n"));
    }
    std::string line =
        until_pid(host, [](const std::string& limit) {
          return shell_request(
              "trap '' TERM; echo $$ $(grep -o 'exec-.*' /proc/self/cgroup); while :; do sleep 0.1; done", limit);
        }).outcome.out;
    host.collect(1);
    size_t name = line.find("exec-");
    REQUIRE(name != std::string::npos);
    std::string directory = cgroup.path() + "/" + line.substr(name, line.find('\n') - name);
    eventually([&] { return access(directory.c_str(), F_OK) != 0; });
    CHECK(host.run(exec_request(R"("argv":["echo","hi"])")).out == "hi\n");
  });
}

TEST_CASE("an agent that may not make cgroups runs commands without") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program, {.track_directory = "/proc/self"});
    Host host = agent.connect();
    CHECK(host.run(exec_request(R"("argv":["echo","hi"])")).out == "hi\n");
  });
}

TEST_CASE("of output beyond its limit nothing is delivered, and the command is ended") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    Outcome over = host.run(exec_request(R"("argv":["yes"],"outputBytes":100001)"));
    CHECK(over.out.size() == 100001);
    CHECK(over.last.text("limit") == "output");
    CHECK(over.last.number("stdoutBytes") == 100001);

    Outcome exact = host.run(exec_request(R"("argv":["echo","12345"],"outputBytes":6)"));
    CHECK(exact.out == "12345\n");
    CHECK(exact.last.is_null("limit"));
    CHECK(exact.last.number("code") == 0);

    Outcome both = host.run(shell_request("echo 1234; echo 5678 >&2; sleep 1000", R"("outputBytes":9)"));
    CHECK(both.out.size() + both.err.size() == 9);
    CHECK(both.last.text("limit") == "output");

    CHECK(host.run(exec_request(R"("argv":["echo"],"outputBytes":0)")).last.text("limit") == "output");
    CHECK(host.run(exec_request(R"("argv":["true"],"outputBytes":0)")).last.is_null("limit"));
  });
}

TEST_CASE("signals reach the process, the group or everything, and nobody after the exit") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    struct Row {
      const char* scope;
      const char* then;  // what the parent does first: a child that is told too is waited for
      const char* out;
    };
    for (const Row& row : {Row{"process", "sleep 0.1; kill -9 $p", "parent\n"},
                           Row{"group", "wait $p", "childparent\n"}, Row{"all", "wait $p", "childparent\n"}}) {
      CAPTURE(row.scope);
      std::string id;
      std::string child = "(trap 'printf child; exit' USR1; echo ready; while :; do sleep 0.01; done)";
      std::string line = "trap 'printf child; exit' USR1; " + child + " & p=$!; trap '" + row.then +
                         "; echo parent; exit 7' USR1; echo ready; while :; do wait; done";
      host.open(1, exec_request(R"("argv":["sh","-c",)" + JsonWriter().string(line).text() + "]", &id));
      Outcome outcome;
      while (outcome.out != "ready\nready\n") host.take(outcome, host.next());
      CHECK(host.ask(about("signal", id, R"("signal":"SIGUSR1","scope":")" + std::string(row.scope) + "\"")).kind ==
            Kind::kAck);
      outcome = host.collect(1);
      CHECK(outcome.out == row.out);
      CHECK(outcome.last.number("code") == 7);
      CHECK(host.ask(about("signal", id, R"("signal":"SIGKILL","scope":"all")")).kind == Kind::kAck);
    }
  });
}

TEST_CASE("the processor limit counts what lives, what was waited for, and what was not") {
  for (bool tracked : {false, true}) {
    for_each_agent([&](const std::string& program) {
      TestCgroup cgroup("pids");
      if (tracked && cgroup.path().empty()) return skipped("no cgroup can be made in pids");
      AgentProcess agent(program, {.track_directory = tracked ? cgroup.path() : ""});
      Host host = agent.connect();
      std::string burn = "sh -c 'i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done'";
      for (const std::string& line : {std::string("while :; do :; done"), "while :; do " + burn + "; done",
                                      "while :; do (" + burn + " &); sleep 0.05; done"}) {
        CAPTURE(line);
        CHECK(host.run(shell_request(line, R"("cpuMs":300)")).last.text("limit") == "cpu");
      }
      CHECK(host.run(shell_request("sleep 0.5", R"("cpuMs":300)")).last.is_null("limit"));
    });
  }
}

TEST_CASE("a limit of processes refuses forks, is told, and is no later command's") {
  for_each_agent([](const std::string& program) {
    std::string forks = "sleep 0.2 & sleep 0.2 & sleep 0.2 & wait; exit 4";
    AgentProcess without(program);
    CHECK(without.connect().run(shell_request(forks, R"("pids":2)")).code() == "unsupported");
    TestCgroup cgroup("pids");
    if (cgroup.path().empty()) return skipped("no cgroup can be made in pids");
    AgentProcess agent(program, {.track_directory = cgroup.path(), .track_version = 1});
    Host host = agent.connect();
    CHECK(host.run(shell_request(forks, R"("pids":2)")).last.text("limit") == "pids");
    Outcome enough = host.run(shell_request(forks, R"("pids":4)"));
    CHECK(enough.last.is_null("limit"));
    CHECK(enough.last.number("code") == 4);
    CHECK(host.run(shell_request(forks)).last.is_null("limit"));
  });
}

TEST_CASE("forks that the sandbox's limit refuses are told of the command that tried them, and of no later one") {
  for_each_agent([](const std::string& program) {
    TestCgroup cgroup("pids");
    if (cgroup.path().empty()) return skipped("no cgroup can be made in pids");
    AgentProcess agent(program, {.track_directory = cgroup.path(), .track_version = 1});
    Host host = agent.connect();
    host.run(shell_request("true"));
    REQUIRE(cgroup.set("pids.max", "2"));
    const std::string forks = "sleep 0.2 & sleep 0.2 & sleep 0.2 & wait; exit ";
    Outcome failed = host.run(shell_request(forks + "4"));
    CHECK(failed.last.text("limit") == "pids");
    CHECK(failed.last.payload.find(R"("limitsMet":{"refusedForks":)") != std::string::npos);
    REQUIRE(cgroup.set("pids.max", "100"));
    // In the cgroup that the first one was in.
    for (int i = 0; i < 5; i++) {
      Outcome later = host.run(shell_request("exit 4"));
      CHECK(later.last.is_null("limit"));
      CHECK(later.last.payload.find("limitsMet") == std::string::npos);
    }
  });
}

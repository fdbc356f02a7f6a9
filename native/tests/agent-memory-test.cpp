// Limits of memory: the sandbox's and a command's own, on both versions of the cgroups.
#include <doctest/doctest.h>
#include <signal.h>

#include "tests/agent-process.h"
#include "tests/host.h"
#include "tests/test-cgroup.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

TEST_CASE("a command that the kernel kills for want of memory is said to be") {
  for_each_agent([](const std::string& program) {
    TestCgroup cgroup("memory");
    if (cgroup.path().empty()) return skipped("no cgroup can be made in memory");
    REQUIRE(cgroup.set("memory.limit_in_bytes", "100000000"));
    AgentProcess agent(program, {.memory_directory = cgroup.path()});
    Host host = agent.connect();
    Outcome outcome = host.run(exec_request(R"("argv":["tail","/dev/zero"])"));
    CHECK(outcome.last.text("limit") == "memory");
    CHECK(outcome.last.text("signal") == "SIGKILL");
    CHECK(outcome.last.number("peakRssBytes") > 30000000);
    // The count stays up; a later failure has its own reason.
    CHECK(host.run(shell_request("exit 1")).last.is_null("limit"));
  });
}

TEST_CASE("a command's own memory limit is told by its own cgroup, and is no other command's") {
  for_each_agent([](const std::string& program) {
    TestCgroup cgroup("memory");
    if (cgroup.path().empty()) return skipped("no cgroup can be made in memory");
    REQUIRE(cgroup.set("memory.limit_in_bytes", "100000000"));
    AgentProcess agent(program, {.memory_directory = cgroup.path()});
    Host host = agent.connect();
    constexpr uint64_t kLimit = 32 << 20;
    const std::string limited = R"("memoryBytes":33554432)";
    host.open(1, shell_request("read line; exit 3", R"("stdin":true)"));
    REQUIRE(host.next().kind == Kind::kAck);

    Outcome bomb = host.run(exec_request(R"("argv":["tail","/dev/zero"],)" + limited));
    CHECK(bomb.last.text("limit") == "memory");
    CHECK(bomb.last.text("signal") == "SIGKILL");
    CHECK(bomb.last.number("memoryPeakBytes") > kLimit / 2);
    CHECK(bomb.last.number("memoryPeakBytes") <= kLimit);
    // The evidence is the kernel's count, whatever the first process made of it.
    Outcome shrugged = host.run(shell_request("tail /dev/zero; exit 0", limited));
    CHECK(shrugged.last.text("limit") == "memory");
    CHECK(shrugged.last.number("code") == 0);
    // Neither is a kill by anybody else.
    Outcome killed = host.run(shell_request("kill -KILL $$", limited));
    CHECK(killed.last.text("signal") == "SIGKILL");
    CHECK(killed.last.is_null("limit"));
    Outcome within = host.run(exec_request(R"("argv":["true"],)" + limited));
    CHECK(within.last.is_null("limit"));
    CHECK(within.last.number("memoryPeakBytes") > 0);

    host.end_input(1, 0);
    Outcome neighbour = host.collect(1);
    CHECK(neighbour.last.number("code") == 3);
    CHECK(neighbour.last.is_null("limit"));
    CHECK(neighbour.last.payload.find("memoryPeakBytes") == std::string::npos);
  });
}

TEST_CASE("on version 2 the limits of a command need the controllers, which it then has by itself") {
  for_each_agent([](const std::string& program) {
    TestCgroup cgroup("unified");
    if (cgroup.path().empty()) return skipped("no cgroup can be made in unified");
    const AgentSettings settings{
        .track_directory = cgroup.path(), .track_version = 2, .memory_directory = cgroup.path(), .memory_version = 2};
    const std::string limited = R"("memoryBytes":33554432)";
    const std::string bomb = R"("argv":["tail","/dev/zero"])";
    AgentProcess agent(program, settings);
    Host host = agent.connect();
    if (!cgroup.set("memory.max", "100000000")) {
      CHECK(host.run(exec_request(bomb + "," + limited)).code() == "unsupported");
      CHECK(host.run(shell_request("true", R"("pids":2)")).code() == "unsupported");
      return skipped("unified has no controller of memory");
    }
    // Before anything has a limit of its own, the sandbox's count is everybody's.
    CHECK(host.run(exec_request(bomb)).last.text("limit") == "memory");
    CHECK(host.run(shell_request("exit 3")).last.is_null("limit"));
    host.open(1, shell_request("read line; exit 3", R"("stdin":true)"));
    REQUIRE(host.next().kind == Kind::kAck);

    for (int i = 0; i < 3; i++) {
      Outcome over = host.run(shell_request("tail /dev/zero; exit 0", limited));
      CHECK(over.last.text("limit") == "memory");
      CHECK(over.last.number("code") == 0);
      CHECK(over.last.number("memoryPeakBytes") > 16 << 20);
      CHECK(over.last.number("memoryPeakBytes") <= 32 << 20);
      Outcome within = host.run(exec_request(R"("argv":["true"],)" + limited));
      CHECK(within.last.is_null("limit"));
      CHECK(within.last.number("memoryPeakBytes") > 0);
      CHECK(within.last.number("memoryPeakBytes") < 16 << 20);
    }
    host.open(2, shell_request("read line; exit 3", R"("stdin":true)"));
    REQUIRE(host.next().kind == Kind::kAck);
    CHECK(host.run(exec_request(bomb + "," + limited)).last.text("signal") == "SIGKILL");
    Outcome unlimited = host.run(exec_request(bomb));
    CHECK(unlimited.last.text("limit") == "memory");
    CHECK_FALSE(unlimited.last.payload.find("memoryPeakBytes") != std::string::npos);
    for (int i = 0; i < 3; i++) {
      // What an earlier command held, in a cgroup that is used again, is not told of one with a limit.
      CHECK(host.run(exec_request(bomb)).last.text("limit") == "memory");
      Outcome small = host.run(exec_request(R"("argv":["true"],)" + limited));
      CHECK(small.last.number("memoryPeakBytes") < 16 << 20);
    }
    Outcome above = host.run(exec_request(bomb + R"(,"memoryBytes":1000000000)"));
    CHECK(above.last.text("limit") == "memory");
    CHECK(above.last.number("memoryPeakBytes") > 50000000);
    // Neither the one that was there before the first limit, nor the one after it, is blamed for others.
    for (uint32_t channel : {1, 2}) {
      host.end_input(channel, 0);
      Outcome neighbour = host.collect(channel);
      CHECK(neighbour.last.number("code") == 3);
      CHECK(neighbour.last.is_null("limit"));
    }
    CHECK(host.run(shell_request("exit 3")).last.is_null("limit"));

    std::string forks = "sleep 0.2 & sleep 0.2 & sleep 0.2 & wait; exit 4";
    CHECK(host.run(shell_request(forks, R"("pids":2)")).last.text("limit") == "pids");
    CHECK(host.run(shell_request(forks)).last.is_null("limit"));
    // The agent's own, and those that are kept for the commands to come.
    eventually([&] { return cgroup.children() <= 5; });
  });
}

TEST_CASE("of two memory limits the smaller one ends a command") {
  for_each_agent([](const std::string& program) {
    TestCgroup cgroup("memory");
    if (cgroup.path().empty()) return skipped("no cgroup can be made in memory");
    REQUIRE(cgroup.set("memory.limit_in_bytes", "100000000"));
    AgentProcess agent(program, {.memory_directory = cgroup.path()});
    Host host = agent.connect();
    Outcome bomb = host.run(exec_request(R"("argv":["tail","/dev/zero"],"memoryBytes":9007199254740991)"));
    CHECK(bomb.last.text("limit") == "memory");
    CHECK(bomb.last.number("memoryPeakBytes") > 50000000);
    // The kernel charges some pages ahead to the command before it asks whether the sandbox has room for them.
    CHECK(bomb.last.number("memoryPeakBytes") < 101000000);
  });
}

TEST_CASE("a memory cgroup lives as long as something of its command does") {
  for_each_agent([](const std::string& program) {
    TestCgroup cgroup("memory");
    if (cgroup.path().empty()) return skipped("no cgroup can be made in memory");
    AgentProcess agent(program, {.memory_directory = cgroup.path()});
    Host host = agent.connect();
    auto until_children_are = [&](int count) { eventually([&] { return cgroup.children() == count; }); };
    CHECK(cgroup.children() == 0);
    for (int i = 0; i < 10; i++) host.run(exec_request(R"("argv":["true"],"memoryBytes":33554432)"));
    until_children_are(0);
    // One that was never started has none either.
    CHECK(host.run(exec_request(R"("argv":["/nowhere"],"memoryBytes":33554432)")).code() == "not-found");
    until_children_are(0);

    Outcome left = host.run(shell_request("sleep 1000 >/dev/null 2>&1 & echo $!", R"("memoryBytes":33554432)"));
    pid_t background = std::stoi(left.out);
    std::string second;
    host.run(exec_request(R"("argv":["true"],"memoryBytes":33554432)", &second));
    until_children_are(1);
    CHECK(host.ask(about("forget", second)).kind == Kind::kAck);
    CHECK_FALSE(has_ended(background));
    CHECK(cgroup.children() == 1);
    kill(background, SIGKILL);
    until_children_are(0);
  });
}

TEST_CASE("there are no more memory cgroups than 256, and none where memory is not limited by command") {
  for_each_agent([](const std::string& program) {
    const std::string sleeper = R"("argv":["sleep","1000"],"memoryBytes":33554432)";
    AgentProcess without(program);
    Message refused = without.connect().run(exec_request(sleeper)).last;
    CHECK(refused.text("code") == "unsupported");
    CHECK(refused.text("field") == "memoryBytes");
    TestCgroup cgroup("memory");
    if (cgroup.path().empty()) return skipped("no cgroup can be made in memory");
    AgentProcess agent(program, {.memory_directory = cgroup.path()});
    Host host = agent.connect();
    for (uint32_t channel = 1; channel <= 256; channel++) {
      host.open(channel, exec_request(sleeper));
      REQUIRE(host.next().kind == Kind::kAck);
    }
    CHECK(host.run(exec_request(sleeper)).code() == "no-resources");
    CHECK(host.run(exec_request(R"("argv":["echo","hi"])")).out == "hi\n");
    CHECK(cgroup.children() == 256);
  });
}

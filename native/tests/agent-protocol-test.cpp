// What a host may get wrong, and that it costs nobody else anything.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "agent/processes.h"
#include "tests/agent-process.h"
#include "tests/host.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

namespace {

constexpr const char* kHello =
    R"({"generation":1,"role":"host","sandbox":"sb_01k6zq3v9nabcdefghjkmnpqrs","incarnation":7})";

std::string frame(Kind kind, uint32_t channel, std::string_view payload) {
  std::string bytes;
  append_frame(bytes, kind, channel, payload);
  return bytes;
}

std::string data(uint32_t channel, uint8_t stream, uint64_t offset, std::string_view bytes) {
  std::string out;
  append_data_header(out, channel, stream, offset, bytes.size());
  return out.append(bytes);
}

}  // namespace

TEST_CASE("a hello that is not meant for this agent is refused and the connection closed") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    struct Row {
      const char* hello;
      const char* code;
    };
    for (const Row& row : {
             Row{R"({"generation":1,"role":"host","sandbox":"sb_01k6zq3v9nabcdefghjkmnpqrx","incarnation":7})",
                 "wrong-sandbox"},
             Row{R"({"generation":1,"role":"host","sandbox":"sb_01k6zq3v9nabcdefghjkmnpqrs","incarnation":6})",
                 "wrong-sandbox"},
             Row{R"({"generation":0,"role":"host","sandbox":"sb_01k6zq3v9nabcdefghjkmnpqrs","incarnation":7})",
                 "unsupported-generation"},
             Row{R"({"generation":1,"role":"agent","sandbox":"sb_01k6zq3v9nabcdefghjkmnpqrs","incarnation":7})",
                 "bad-request"},
             Row{R"({"generation":1,"role":"host","sandbox":"sb_01k6zq3v9nabcdefghjkmnpqrs"})", "bad-request"},
             Row{R"({"x":1})", "bad-request"},
             Row{"nonsense", "bad-request"},
         }) {
      CAPTURE(row.hello);
      Host host = agent.connect_silently();
      host.send(Kind::kHello, 0, row.hello);
      Message answer = host.next();
      CHECK(answer.kind == Kind::kError);
      CHECK(answer.channel == 0);
      CHECK(answer.text("code") == row.code);
      CHECK(host.hung_up());
    }
    Host newer = agent.connect_silently();
    newer.send(Kind::kHello, 0,
               R"({"generation":9,"role":"host","sandbox":"sb_01k6zq3v9nabcdefghjkmnpqrs","incarnation":7})");
    CHECK(newer.next().number("generation") == 1);
  });
}

TEST_CASE("a protocol error closes that connection alone, and says what it was") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host witness = agent.connect();
    std::string cat = exec_request(R"("argv":["cat"],"stdin":true)");
    for (const std::string& bytes : {
             frame(Kind::kOpen, 1, cat),  // before hello
             frame(Kind::kHello, 1, kHello),
             frame(Kind::kHello, 0, kHello) + frame(Kind::kHello, 0, kHello),
             frame(Kind::kHello, 0, kHello) + frame(Kind::kOpen, 0, R"({"type":"list"})"),
             frame(Kind::kHello, 0, kHello) + frame(Kind::kOpen, 1, "[]"),
             frame(Kind::kHello, 0, kHello) + frame(Kind::kOpen, 1, "\xff"),
             frame(Kind::kHello, 0, kHello) + frame(Kind::kAck, 1, "{}"),
             frame(Kind::kHello, 0, kHello) + frame(Kind::kCredit, 1, "\1\0\0\0"),  // never opened
             frame(Kind::kHello, 0, kHello) + frame(Kind::kCredit, 0, std::string_view("\1\0\0\0", 4)),
             frame(Kind::kHello, 0, kHello) + frame(Kind::kOpen, 1, cat) + frame(Kind::kOpen, 1, R"({"type":"list"})"),
             frame(Kind::kHello, 0, kHello) + frame(Kind::kOpen, 1, exec_request(R"("argv":["cat"],"stdin":true)")) +
                 data(1, 1, 0, "x"),
             frame(Kind::kHello, 0, kHello) +
                 frame(Kind::kOpen, 1, exec_request(R"("argv":["sleep","1000"],"stdin":true)")) +
                 data(1, 0, 0, std::string(kInitialCredit + 1, 'x')),
             frame(Kind::kHello, 0, kHello) + frame(Kind::kOpen, 1, exec_request(R"("argv":["sleep","1000"])")) +
                 frame(Kind::kCredit, 1, "\xff\xff\xff\x7f"),
             std::string("\xff\xff\xff\xff\1\0\0\0\0", 9),
             std::string("\4\0\0\0", 4),
             std::string("\5\0\0\0\x0c", 5),
         }) {
      Host host = agent.connect_silently();
      host.send_raw(bytes);
      Message message = host.next();
      while (message.kind != Kind::kError) message = host.next();
      CHECK(message.channel == 0);
      CHECK(message.text("code") == "protocol");
      CHECK(host.hung_up());
      CHECK(witness.ask(R"({"type":"list"})").kind == Kind::kAck);
    }
  });
}

TEST_CASE("a request that is wrong is refused on its channel, and the connection lives on") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    Message refused = host.ask(exec_request(R"("argv":["true"],"bogus":1)"));
    CHECK(refused.kind == Kind::kError);
    CHECK(refused.text("code") == "bad-request");
    CHECK(refused.text("field") == "bogus");
    CHECK(host.ask(R"({"type":"format-disk"})").text("field") == "type");
    CHECK(host.ask(R"({"type":"list"})").payload == R"({"execs":[]})");
  });
}

TEST_CASE("the agent survives any bytes") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    std::mt19937 random(20);
    std::string sound = frame(Kind::kHello, 0, kHello) +
                        frame(Kind::kOpen, 1, exec_request(R"("argv":["cat"],"stdin":true)")) + data(1, 0, 0, "hello") +
                        frame(Kind::kCredit, 1, std::string_view("\1\0\0\0", 4)) +
                        frame(Kind::kOpen, 2, R"({"type":"list"})") + frame(Kind::kOpen, 3, R"({"type":"usage"})");
    for (int round = 0; round < 400; round++) {
      Host host = agent.connect_silently();
      std::string bytes = sound;
      if (round % 4 == 0) {
        for (char& c : bytes) c = static_cast<char>(random());
      } else {
        for (unsigned i = 0; i < 1 + random() % 6; i++) bytes[random() % bytes.size()] = static_cast<char>(random());
        bytes.resize(1 + random() % bytes.size());
      }
      host.send_raw(bytes);
    }
    Host host = agent.connect();
    CHECK(host.run(exec_request(R"("argv":["echo","alive"])")).out == "alive\n");
  });
}

TEST_CASE("out of descriptors, a request is refused and the agent goes on") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program, {.descriptors = 24});
    Host host = agent.connect();
    std::vector<std::string> running;
    Message answer{Kind::kAck, 0, ""};
    uint32_t channel = 0;
    while (answer.kind == Kind::kAck) {
      running.emplace_back();
      host.open(++channel, exec_request(R"("argv":["cat"],"stdin":true)", &running.back()));
      answer = host.next();
      REQUIRE(channel < 24);
    }
    CHECK(answer.text("code") == "no-resources");
    CHECK(answer.text("errno") == "EMFILE");
    CHECK(running.size() > 3);
    // A connection that cannot be accepted now is accepted later.
    Host waiting = agent.connect_silently();
    waiting.send(Kind::kHello, 0, kHello);
    for (uint32_t open = 1; open < channel; open++) {
      host.end_input(open, 0);
      CHECK(host.collect(open).last.number("code") == 0);
    }
    CHECK(waiting.next().kind == Kind::kHello);
    CHECK(host.run(exec_request(R"("argv":["echo","hi"])")).out == "hi\n");
  });
}

TEST_CASE("stop ends everything, stubborn processes too, and the agent with exit code 0") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    host.open(1,
              shell_request(R"((setsid sh -c 'trap "" TERM; echo $$; while :; do sleep 1000; done' &); sleep 1000)"));
    Outcome outcome;
    while (outcome.out.find('\n') == std::string::npos) host.take(outcome, host.next());
    pid_t stubborn = std::stoi(outcome.out);
    CHECK(host.ask(R"({"type":"stop"})").kind == Kind::kAck);
    CHECK(host.hung_up());
    CHECK(agent.wait() == 0);
    CHECK(has_ended(stubborn));
  });
}

TEST_CASE("as PID 1 the agent reaps and stops everything, and heeds nobody inside") {
  if (geteuid() != 0) return skipped("only root can make a pid namespace");
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program, {.own_namespace = true});
    Host host = agent.connect();
    Outcome outcome =
        host.run(shell_request(R"(echo $PPID; kill -TERM 1; kill -INT 1; kill -KILL 1; (setsid sleep 1000 &))"));
    CHECK(outcome.out == "1\n");
    CHECK(host.run(exec_request(R"("argv":["echo","alive"])")).out == "alive\n");
    // The agent itself and the orphan.
    CHECK(host.ask(R"({"type":"usage"})").number("processes") == 2);
    host.open(1, shell_request("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done"));
    outcome = {};
    while (outcome.out != "ready\n") host.take(outcome, host.next());
    auto asked = std::chrono::steady_clock::now();
    CHECK(host.ask(R"({"type":"stop"})").kind == Kind::kAck);
    outcome = host.collect(1);
    // It has a second for that, which a busy machine may not give it.
    bool had_time = std::chrono::steady_clock::now() - asked < std::chrono::seconds(1);
    CHECK((outcome.out == "bye\n" || !had_time));
    CHECK((outcome.last.number("code") == 3 || !had_time));
    CHECK(host.hung_up());
    CHECK(agent.wait() == 0);
  });
}

TEST_CASE("an agent with nothing to end stops at once") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    CHECK(host.ask(R"({"type":"stop"})").kind == Kind::kAck);
    CHECK(host.hung_up());
    CHECK(agent.wait() == 0);
  });
}

TEST_CASE("orphans are reaped") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    host.run(shell_request("for i in 1 2 3 4 5; do (sh -c 'exit 1' &); done"));
    eventually([&] {
      std::vector<Process> all = list_processes();
      return std::none_of(all.begin(), all.end(),
                          [&](const Process& process) { return process.parent == agent.pid(); });
    });
  });
}

TEST_CASE("an idle agent is small") {
  for_each_agent([](const std::string& program) {
    if (program.find("/test/") != std::string::npos) return;  // sanitizers are not small
    AgentProcess agent(program);
    Host host = agent.connect();
    Message usage = host.ask(R"({"type":"usage"})");
    CHECK(usage.number("rssBytes") > 50000);
    CHECK(usage.number("rssBytes") < 1048576);
    CHECK(usage.number("processes") >= 1);
    CHECK(usage.fraction("uptimeMs") > 0);
    struct stat status;
    REQUIRE(stat(program.c_str(), &status) == 0);
    CHECK(status.st_size < 500000);
  });
}

#include "agent/process-list.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

#include "tests/agent-process.h"
#include "tests/host.h"

using namespace plybox;
using namespace plybox::test;

TEST_CASE("what a process uses is read from its stat line, whatever its name") {
  std::string tail = " R 10 20 30 0 -1 4194560 1 2 3 4 500 60 7 8 20 0 3 0 987654 4096000 200 1 1\n";
  for (const char* name : {"sh", "a b", ") S 1 1 1", "((", ""}) {
    CAPTURE(name);
    std::string text = "42 (" + std::string(name) + ")" + tail;
    std::optional<ProcessDetail> process = parse_detail(text);
    REQUIRE(process);
    CHECK(process->pid == 42);
    CHECK(process->parent == 10);
    CHECK(process->name == name);
    CHECK(process->state == 'R');
    CHECK(process->ticks == 560);
    CHECK(process->threads == 3);
    CHECK(process->resident == 200);
  }
  for (const char* text : {"", "42", "42 (x)", "42 (x) S", "42 (x) S 1 2", ")(", "x (y) S 1 2 3 4 5 6 7 8 9 10 11"})
    CHECK_FALSE(parse_detail(text));
}

TEST_CASE("a command line is one text") {
  CHECK(command_text(std::string_view("sleep\00060\0", 9)) == "sleep 60");
  CHECK(command_text(std::string_view("a\0\0b\0", 5)) == "a  b");
  CHECK(command_text("") == "");
}

TEST_CASE("the agent lists the processes that it sees, itself among them") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    Message answer = host.ask(R"({"type":"processes"})");
    REQUIRE(answer.kind == Kind::kAck);
    CHECK(answer.number("total") >= 2);
    CHECK(answer.payload.find("plyagent") != std::string::npos);
    CHECK(answer.payload.find("\"pid\":" + std::to_string(getpid()) + ",") != std::string::npos);
    CHECK(answer.payload.find("\"user\":\"root\"") != std::string::npos);
  });
}

// What listens beside an agent, as the kernel's table and the agent tell it.
#include "agent/listening-ports.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "tests/agent-process.h"
#include "tests/host.h"
#include "tests/server.h"

using namespace plybox;
using namespace plybox::test;

TEST_CASE("ports lists what listens, with its addresses") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    std::string entry;
    {
      Server four(AF_INET);
      entry = R"({"port":)" + std::to_string(four.port()) + R"(,"addresses":["127.0.0.1"]})";
      CHECK(host.ask(R"({"type":"ports"})").payload.find(entry) != std::string::npos);
    }
    CHECK(host.ask(R"({"type":"ports"})").payload.find(entry) == std::string::npos);
    Server six(AF_INET6);
    entry = R"({"port":)" + std::to_string(six.port()) + R"(,"addresses":["::1"]})";
    CHECK(host.ask(R"({"type":"ports"})").payload.find(entry) != std::string::npos);
  });
}

TEST_CASE("a line of the kernel's table is read, or is not one of a socket that listens") {
  std::vector<ListeningSocket> sockets;
  CHECK(parse_listening("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000", sockets));
  CHECK(parse_listening("  12: 00000000000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A 0",
                        sockets));
  REQUIRE(sockets.size() == 2);
  CHECK(sockets[0].port == 8080);
  CHECK(sockets[0].address == "127.0.0.1");
  CHECK(sockets[1].port == 443);
  CHECK(sockets[1].address == "::1");
  for (const char* line : {
           "   0: 0100007F:1F90 0100007F:8888 01 00000000:00000000",
           "",
           "   0:",
           "   0: 0100007F 00000000:0000 0A",
           "   0: 01:1F90 00000000:0000 0A",
           "   0: zzzzzzzz:1F90 00000000:0000 0A",
           "   0: 0100007F:zz 00000000:0000 0A",
           "   0: 01000000000000000000000000007F0000:1F90 0:0 0A",
       }) {
    CAPTURE(line);
    CHECK_FALSE(parse_listening(line, sockets));
  }
  CHECK(sockets.size() == 2);
}

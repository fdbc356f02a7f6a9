// Connections to what listens beside an agent, as a host sees them. The servers are this process's own sockets.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "tests/agent-process.h"
#include "tests/host.h"
#include "tests/server.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

namespace {

std::string read_all(int fd, size_t most = SIZE_MAX) {
  std::string bytes;
  char chunk[65536];
  ssize_t count;
  while (bytes.size() < most && (count = recv(fd, chunk, std::min(sizeof(chunk), most - bytes.size()), 0)) > 0) {
    bytes.append(chunk, static_cast<size_t>(count));
  }
  return bytes;
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    REQUIRE(count > 0);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

std::string dial_socket(const std::string& path) { return R"({"type":"dial","socket":")" + path + "\"}"; }

// A server with the connection that the agent made to it, on channel 1 of a host of its own.
struct Dialed {
  explicit Dialed(const std::string& program) : agent(program), host(agent.connect()), server(AF_INET) {
    host.open(1, server.dial());
    socket = server.accept();
    CHECK(host.next().payload == "{}");
  }
  AgentProcess agent;
  Host host;
  Server server;
  UniqueFd socket;
};

}  // namespace

TEST_CASE("a dial carries both directions, and each may end before the other") {
  for_each_agent([](const std::string& program) {
    Dialed dialed(program);
    dialed.host.input(1, 0, "question");
    dialed.host.end_input(1, 8);
    CHECK(read_all(dialed.socket.get()) == "question");
    write_all(dialed.socket.get(), "answer");
    dialed.socket.reset();
    Outcome outcome = dialed.host.collect(1);
    CHECK(outcome.out == "answer");
    CHECK(outcome.ends == 1);
    CHECK(outcome.last.number("inBytes") == 8);
    CHECK(outcome.last.number("outBytes") == 6);
  });
}

TEST_CASE("what listens may end its side first and read on") {
  for_each_agent([](const std::string& program) {
    Dialed dialed(program);
    write_all(dialed.socket.get(), "greeting");
    shutdown(dialed.socket.get(), SHUT_WR);
    Message bytes = dialed.host.next();
    CHECK(bytes.kind == Kind::kData);
    Message end = bytes.payload.size() == 17 ? dialed.host.next() : bytes;
    CHECK(end.kind == Kind::kEnd);
    dialed.host.input(1, 0, "late");
    dialed.host.end_input(1, 4);
    CHECK(read_all(dialed.socket.get()) == "late");
    Message exit = dialed.host.next();
    CHECK(exit.kind == Kind::kExit);
    CHECK(exit.number("inBytes") == 4);
  });
}

TEST_CASE("a port is found on either loopback address") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    Server six(AF_INET6);
    host.open(1, six.dial());
    UniqueFd accepted = six.accept();
    CHECK(host.next().kind == Kind::kAck);
    // The control: on the other address alone, nothing is there.
    CHECK(host.ask(six.dial(R"(,"host":"127.0.0.1")")).text("code") == "connection-refused");
    Server four(AF_INET);
    host.open(2, four.dial(R"(,"host":"127.0.0.1")"));
    UniqueFd other = four.accept();
    CHECK(host.next().kind == Kind::kAck);
    CHECK(host.ask(four.dial(R"(,"host":"::1")")).text("code") == "connection-refused");
  });
}

TEST_CASE("a dial that leads nowhere is refused with the reason") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    TestDirectory directory;
    std::string file = directory.path() + "/file", datagram = directory.path() + "/datagram";
    std::string loop = directory.path() + "/loop", stale = directory.path() + "/stale";
    UniqueFd(open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    REQUIRE(symlink("loop", loop.c_str()) == 0);
    { Server gone(AF_UNIX, stale); }
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    datagram.copy(address.sun_path, 107);
    UniqueFd packets(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(bind(packets.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    uint16_t closed = Server(AF_INET).port();
    std::string port = std::to_string(closed);
    struct Row {
      std::string request;
      const char* code;
    };
    for (const Row& row : {
             Row{R"({"type":"dial","port":)" + port + "}", "connection-refused"},
             Row{R"({"type":"dial","port":80,"host":"10.0.0.1"})", "bad-address"},
             Row{R"({"type":"dial","port":80,"host":"0.0.0.0"})", "bad-address"},
             Row{R"({"type":"dial","port":80,"host":"::ffff:10.0.0.1"})", "bad-address"},
             Row{R"({"type":"dial","port":80,"host":"localhost"})", "bad-address"},
             Row{R"({"type":"dial","port":0})", "bad-request"},
             Row{R"({"type":"dial","port":65536})", "bad-request"},
             Row{R"({"type":"dial"})", "bad-request"},
             Row{R"({"type":"dial","port":80,"socket":"/a"})", "bad-request"},
             Row{R"({"type":"dial","socket":"/a","host":"127.0.0.1"})", "bad-request"},
             Row{R"({"type":"dial","socket":"relative"})", "bad-request"},
             Row{R"({"type":"dial","socket":"/a\u0000b"})", "bad-request"},
             Row{dial_socket(directory.path() + "/none"), "no-such-file"},
             Row{dial_socket(file + "/below"), "not-a-directory"},
             Row{dial_socket(file), "not-a-socket"},
             Row{dial_socket(datagram), "not-a-socket"},
             Row{dial_socket(loop), "too-many-links"},
             Row{dial_socket(stale), "connection-refused"},
             Row{dial_socket("/" + std::string(300, 'x')), "name-too-long"},
         }) {
      CAPTURE(row.request);
      Message answer = host.ask(row.request);
      CHECK(answer.kind == Kind::kError);
      CHECK(answer.text("code") == row.code);
    }
    for (const std::string& name : {file, datagram, loop, stale}) unlink(name.c_str());
  });
}

TEST_CASE("a Unix socket is reached by a path longer than an address, and through a symlink, but no magic link") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    TestDirectory directory;
    std::string path = directory.path() + "/s", link = directory.path() + "/" + std::string(200, 'l');
    Server server(AF_UNIX, path);
    REQUIRE(symlink(path.c_str(), link.c_str()) == 0);
    host.open(1, dial_socket(link));
    UniqueFd accepted = server.accept();
    CHECK(host.next().kind == Kind::kAck);
    host.end_input(1, 0);
    write_all(accepted.get(), "by its path");
    accepted.reset();
    CHECK(host.collect(1).out == "by its path");
    // The same directory by a magic link: what it leads to need not be in the agent's tree.
    UniqueFd opened(open(directory.path().c_str(), O_PATH | O_CLOEXEC));
    std::string magic = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(opened.get()) + "/s";
    REQUIRE(access(magic.c_str(), F_OK) == 0);
    CHECK(host.ask(dial_socket(magic)).text("code") == "too-many-links");
    unlink(path.c_str());
    unlink(link.c_str());
  });
}

TEST_CASE("a connection that is reset is an error after the bytes that came, not an end") {
  for_each_agent([](const std::string& program) {
    Dialed dialed(program);
    write_all(dialed.socket.get(), "half");
    Message bytes = dialed.host.next();
    CHECK(bytes.kind == Kind::kData);
    linger at_once{1, 0};
    setsockopt(dialed.socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    dialed.socket.reset();
    Message last = dialed.host.next();
    CHECK(last.kind == Kind::kError);
    CHECK(last.text("code") == "connection-reset");
  });
}

TEST_CASE("a host that does not read stalls its own channel alone, and nothing is lost") {
  for_each_agent([](const std::string& program) {
    Dialed dialed(program);
    // Until nothing more is taken: credit, ring and the kernel's buffers are full.
    std::string sent;
    std::string chunk(65536, 'a');
    constexpr int kStandsMs = 200, kHangsMs = 60000;
    auto patience = [&] { return sent.size() > kInitialCredit ? kStandsMs : kHangsMs; };
    for (pollfd room{dialed.socket.get(), POLLOUT, 0}; poll(&room, 1, patience()) == 1;) {
      chunk.assign(chunk.size(), static_cast<char>('a' + sent.size() / chunk.size() % 26));
      ssize_t count = ::send(dialed.socket.get(), chunk.data(), chunk.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (count > 0) sent.append(chunk, 0, static_cast<size_t>(count));
    }
    CHECK(sent.size() > kInitialCredit);
    Outcome stalled;
    dialed.host.open(2, shell_request("echo lively"));
    CHECK(dialed.host.collect(2, [&](const Message& message) { dialed.host.take(stalled, message); }).out ==
          "lively\n");
    dialed.socket.reset();
    dialed.host.end_input(1, 0);
    dialed.host.credit(1, 1 << 30);
    Outcome rest = dialed.host.collect(1);
    CHECK(stalled.out + rest.out == sent);
  });
}

TEST_CASE("what listens and does not read costs a bounded room, and the host is told when it goes on") {
  for_each_agent([](const std::string& program) {
    Dialed dialed(program);
    std::string bytes(kInitialCredit, 'x');
    uint64_t at = 0;
    // More than the kernel's buffers hold: each grant is used up.
    pollfd waiting{dialed.host.socket(), POLLIN, 0};
    uint64_t window = kInitialCredit;
    for (;;) {
      dialed.host.input(1, at, std::string_view(bytes).substr(0, static_cast<size_t>(window)));
      at += window;
      window = 0;
      if (poll(&waiting, 1, 200) != 1) break;
      Message grant = dialed.host.next();
      REQUIRE(grant.kind == Kind::kCredit);
      window = *parse_credit(grant.payload);
    }
    dialed.host.open(2, R"({"type":"usage"})");
    Message usage = dialed.host.next();
    // A grant that was slow to come.
    while (usage.kind == Kind::kCredit) usage = dialed.host.next();
    CHECK(usage.number("rssBytes") > 0);
    CHECK(read_all(dialed.socket.get(), 1 << 17).size() == 1 << 17);
    dialed.host.end_input(1, at);
    CHECK(read_all(dialed.socket.get()).size() == at - (1 << 17));
  });
}

TEST_CASE("bytes before the ack, and behind a gap, end their channel alone") {
  for_each_agent([](const std::string& program) {
    Dialed dialed(program);
    dialed.host.input(1, 5, "gap");
    CHECK(dialed.host.next().text("code") == "bad-offset");
    CHECK(read_all(dialed.socket.get()) == "");
    // A Unix socket whose backlog is full: the dial waits.
    TestDirectory directory;
    std::string path = directory.path() + "/s";
    Server server(AF_UNIX, path, 0);
    dialed.host.open(3, dial_socket(path));
    CHECK(dialed.host.next().kind == Kind::kAck);
    dialed.host.open(4, dial_socket(path));
    dialed.host.input(4, 0, "early");
    Message refused = dialed.host.next();
    CHECK(refused.channel == 4);
    CHECK(refused.text("code") == "bad-request");
    // And one that waits is served once there is room.
    dialed.host.open(5, dial_socket(path));
    UniqueFd first = server.accept();
    CHECK(dialed.host.next().kind == Kind::kAck);
    unlink(path.c_str());
  });
}

TEST_CASE("a host that closes its channel or goes away breaks its connections off") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Server server(AF_INET);
    UniqueFd accepted;
    {
      Host host = agent.connect();
      host.open(1, server.dial());
      accepted = server.accept();
      CHECK(host.next().kind == Kind::kAck);
      host.open(2, server.dial());
      UniqueFd second = server.accept();
      CHECK(host.next().kind == Kind::kAck);
      host.send(Kind::kClose, 2);
      char byte;
      CHECK(recv(second.get(), &byte, 1, 0) == -1);
      CHECK(errno == ECONNRESET);
    }
    char byte;
    CHECK(recv(accepted.get(), &byte, 1, 0) == -1);
    CHECK(errno == ECONNRESET);
  });
}

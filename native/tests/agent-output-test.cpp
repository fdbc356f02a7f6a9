// Output: rings, credit, attachments; and stdin, which is taken over as they are.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include "tests/agent-process.h"
#include "tests/host.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

namespace {

void until_ended(Host& host, const std::string& id) {
  eventually([&] {
    std::string list = host.ask(R"({"type":"list"})").payload;
    size_t at = list.find(id);
    REQUIRE(at != std::string::npos);
    return list.substr(at, list.find('}', at) - at).find("\"running\":false") != std::string::npos;
  });
}

}  // namespace

TEST_CASE("100 MB of output arrive unharmed") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    constexpr uint64_t kBytes = 100000000;
    std::string lines;
    while (lines.size() <= kMaxLength) lines += "0123456789abcde\n";
    host.open(1, shell_request("yes 0123456789abcde | head -c " + std::to_string(kBytes)));
    uint64_t offset = 0;
    bool sound = true;
    Message message = host.next();
    while (message.kind != Kind::kExit) {
      message = host.next();
      if (message.kind != Kind::kData) continue;
      Data data = *parse_data(message.payload);
      sound = sound && data.offset == offset && lines.compare(offset % 16, data.bytes.size(), data.bytes) == 0;
      offset += data.bytes.size();
      host.credit(1, static_cast<uint32_t>(data.bytes.size()));
    }
    CHECK(sound);
    CHECK(offset == kBytes);
    CHECK(message.number("stdoutBytes") == kBytes);
  });
}

TEST_CASE("a host that grants no credit holds up its own command, and nobody else") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    host.open(1, exec_request(R"("argv":["seq","1","200000"],"ringBytes":4096)"));
    Outcome stalled;
    uint64_t got = 0;
    while (got < kInitialCredit) {
      Message message = host.next();
      host.take(stalled, message);
      if (message.kind == Kind::kData) got += message.payload.size() - kDataHeader;
    }
    CHECK(got == kInitialCredit);

    // On the same connection and on another one.
    host.open(2, exec_request(R"("argv":["seq","1","100000"])"));
    CHECK(host.collect(2).out == numbers(100000));
    Host other = agent.connect();
    CHECK(other.run(exec_request(R"("argv":["echo","hi"])")).out == "hi\n");

    host.credit(1, kMaxCredit);
    Outcome rest = host.collect(1);
    CHECK(stalled.out + rest.out == numbers(200000));
    CHECK(rest.lost.empty());
  });
}

TEST_CASE("a host that does not read is not read from, and is served when it reads again") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host stalled = agent.connect();
    Host other = agent.connect();
    // The answers are many times what socket buffers hold: an agent that went on reading would keep them all.
    constexpr uint32_t kRequests = 40000, kFirst = 5000;
    std::string requests;
    for (uint32_t i = 0; i < kRequests; i++) append_frame(requests, Kind::kOpen, kFirst + i, R"({"type":"nonsense"})");
    std::string_view rest = requests;
    int refused_in_a_row = 0;
    while (!rest.empty() && refused_in_a_row < 20) {
      ssize_t count = ::send(stalled.socket(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      refused_in_a_row = count < 0 ? refused_in_a_row + 1 : 0;
      if (count > 0) rest.remove_prefix(static_cast<size_t>(count));
      // A turn of the agent in which it could have read more. Others are served all the while.
      CHECK(other.ask(R"({"type":"list"})").kind == Kind::kAck);
    }
    CHECK_FALSE(rest.empty());
    CHECK(other.run(exec_request(R"("argv":["echo","hi"])")).out == "hi\n");

    uint32_t answered = 0;
    while (answered < kRequests) {
      if (!rest.empty()) {
        ssize_t count = ::send(stalled.socket(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count > 0) rest.remove_prefix(static_cast<size_t>(count));
      }
      REQUIRE(stalled.next().channel == kFirst + answered++);
    }
  });
}

TEST_CASE("while nobody listens a command runs on, and a later host hears what is lost") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    std::string id;
    {
      Host gone = agent.connect();
      gone.open(1, exec_request(R"("argv":["seq","1","100000"],"ringBytes":4096)", &id));
      CHECK(gone.next().kind == Kind::kAck);
    }
    Host host = agent.connect();
    until_ended(host, id);
    std::string whole = numbers(100000);
    Outcome outcome = host.run(about("attach", id, R"("stdout":0,"stderr":0)"));
    CHECK_FALSE(outcome.ack.boolean("running"));
    REQUIRE(outcome.lost.size() == 1);
    CHECK(outcome.lost[0].second == whole.size() - 4096);
    CHECK(outcome.out == whole.substr(whole.size() - 4096));
    CHECK(outcome.ends == 2);
    CHECK(outcome.last.number("code") == 0);
    CHECK(outcome.last.number("stdoutBytes") == whole.size());

    // Again, from the middle of what is left: nothing is lost then.
    host.open(1, about("attach", id, "\"stdout\":" + std::to_string(whole.size() - 10) + ",\"stderr\":0"));
    CHECK(host.next().kind == Kind::kAck);
    Message message = host.next();
    while (message.kind == Kind::kEnd) message = host.next();
    REQUIRE(message.kind == Kind::kData);
    CHECK(parse_data(message.payload)->bytes == whole.substr(whole.size() - 10));
    while (message.kind != Kind::kExit) message = host.next();
  });
}

TEST_CASE("an attachment from beyond the end, or to an unknown command, is refused") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    std::string id;
    host.run(exec_request(R"("argv":["echo","hi"])", &id));
    Message refused = host.ask(about("attach", id, R"("stdout":4,"stderr":0)"));
    CHECK(refused.text("code") == "bad-offset");
    CHECK(refused.text("field") == "stdout");
    CHECK(host.ask(about("attach", "ex_zzzzzzzzzzzzzzzzzzzzzzzzzz", R"("stdout":0,"stderr":0)")).text("code") ==
          "exec-not-found");
    CHECK(host.ask(about("exec", id, R"("argv":["true"])")).text("code") == "exec-exists");
  });
}

TEST_CASE("a second attachment takes the first one's place without losing a byte") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host first = agent.connect();
    std::string id;
    first.open(1, exec_request(R"("argv":["cat"],"stdin":true,"ringBytes":4096)", &id));
    first.input(1, 0, "one");
    Outcome before;
    while (before.out != "one") first.take(before, first.next());

    Host second = agent.connect();
    second.open(1, about("attach", id, R"("stdout":0,"stderr":0)"));
    CHECK(first.collect(1).code() == "replaced");
    Message ack = second.next();
    CHECK(ack.number("stdinOffset") == 3);
    CHECK(ack.boolean("running"));
    second.input(1, 0, "one two");
    second.end_input(1, 7);
    CHECK(second.collect(1).out == "one two");
  });
}

TEST_CASE("close stops listening, and the command goes on") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    std::string id;
    host.open(1, exec_request(R"("argv":["cat"],"stdin":true)", &id));
    CHECK(host.next().kind == Kind::kAck);
    host.send(Kind::kClose, 1);
    host.open(2, about("attach", id, R"("stdout":0,"stderr":0)"));
    host.input(2, 0, "still here");
    host.end_input(2, 10);
    CHECK(host.collect(2).out == "still here");
  });
}

TEST_CASE("what a process in the background writes after the exit is kept for whoever attaches") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    std::string id;
    // The background process waits for a reader of its pipe before it writes.
    TestDirectory directory;
    std::string fifo = directory.path() + "/go";
    host.open(
        1, exec_request(
               R"("argv":["sh","-c","mkfifo $1; (read go < $1; echo late) & echo early","sh",")" + fifo + "\"]", &id));
    Outcome outcome = host.collect(1);
    REQUIRE(outcome.out == "early\n");
    CHECK(outcome.last.number("stdoutBytes") == 6);
    CHECK(outcome.ends <= 1);
    host.run(shell_request("echo go > " + fifo));
    Outcome later;
    eventually([&] {
      later = host.run(about("attach", id, R"("stdout":0,"stderr":0)"));
      return later.out == "early\nlate\n";
    });
    CHECK(later.last.number("stdoutBytes") == 6);
  });
}

TEST_CASE("a background process that never stops writing does not hold back the exit") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    Outcome outcome = host.run(shell_request("yes & echo done"));
    CHECK(outcome.last.number("code") == 0);
    CHECK(outcome.out.find("done\n") != std::string::npos);
  });
}

TEST_CASE("a finished command is forgotten on request, a running one is not") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    std::string id;
    host.open(1, exec_request(R"("argv":["cat"],"stdin":true)", &id));
    CHECK(host.next().kind == Kind::kAck);
    CHECK(host.ask(about("forget", id)).text("code") == "still-running");
    host.end_input(1, 0);
    host.collect(1);
    CHECK(host.ask(about("forget", id)).kind == Kind::kAck);
    CHECK(host.ask(about("forget", id)).text("code") == "exec-not-found");
    CHECK(host.ask(about("signal", id, R"("signal":"SIGTERM")")).text("code") == "exec-not-found");
    CHECK(host.ask(R"({"type":"list"})").payload == R"({"execs":[]})");
  });
}

TEST_CASE("stdin is fed by the last who took it over, until the command has ended") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect(), feeding = agent.connect();
    std::string id;
    host.open(1, exec_request(R"("argv":["cat"],"stdin":true)", &id));
    CHECK(host.next().kind == Kind::kAck);
    host.input(1, 0, "ab");
    Outcome echoed;
    while (echoed.out != "ab") host.take(echoed, host.next());
    feeding.open(1, about("input", id));
    CHECK(feeding.next().number("stdinOffset") == 2);
    feeding.open(2, about("input", id));
    std::map<uint32_t, Message> answers;
    for (int i = 0; i < 2; i++) {
      Message message = feeding.next();
      answers.emplace(message.channel, message);
    }
    CHECK(answers.at(1).text("code") == "replaced");
    CHECK(answers.at(2).number("stdinOffset") == 2);
    {
      Host gone = agent.connect();
      gone.open(1, about("input", id));
      CHECK(gone.next().number("stdinOffset") == 2);
    }
    CHECK(feeding.next().text("code") == "replaced");
    feeding.open(3, about("input", id));
    CHECK(feeding.next().number("stdinOffset") == 2);
    feeding.input(3, 2, "cd");
    feeding.end_input(3, 4);
    Outcome outcome = host.collect(1);
    CHECK(echoed.out + outcome.out == "abcd");
    CHECK(feeding.next().payload == outcome.last.payload);
    // Of one that has finished, and is forgotten in the same turn: what is sent to it is of no use, and no harm.
    feeding.open(4, about("input", id));
    feeding.input(4, 4, "x");
    feeding.open(5, about("forget", id));
    feeding.input(4, 5, "y");
    std::map<uint32_t, Kind> last;
    for (int i = 0; i < 3; i++) {
      Message message = feeding.next();
      last[message.channel] = message.kind;
    }
    CHECK(last == std::map<uint32_t, Kind>{{4, Kind::kExit}, {5, Kind::kAck}});
  });
}

TEST_CASE("the last 64 finished commands are kept") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    std::string first, second, id;
    host.run(exec_request(R"("argv":["true"])", &first));
    host.run(exec_request(R"("argv":["true"])", &second));
    for (int i = 0; i < 63; i++) host.run(exec_request(R"("argv":["true"])", &id));
    CHECK(host.ask(about("attach", first, R"("stdout":0,"stderr":0)")).text("code") == "exec-not-found");
    CHECK(host.run(about("attach", second, R"("stdout":0,"stderr":0)")).last.kind == Kind::kExit);
  });
}

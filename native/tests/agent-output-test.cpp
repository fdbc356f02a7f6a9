// Output: rings, credit, attachments.
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

std::string numbers(int last) {
  std::string text;
  for (int i = 1; i <= last; i++) text += std::to_string(i) + "\n";
  return text;
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

TEST_CASE("what is kept of a running command is read beside the one who listens, who misses nothing") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect(), reading = agent.connect();
    std::string id;
    host.open(1, exec_request(R"("argv":["cat"],"stdin":true)", &id));
    host.input(1, 0, "one");
    Outcome heard;
    while (heard.out != "one") host.take(heard, host.next());

    reading.open(1, about("read", id, R"("stdout":0,"stderr":0)"));
    Outcome read = reading.collect(1);
    std::string ack = read.ack.payload.substr(read.ack.payload.find("\"stdout\""));
    CHECK(ack == R"("stdout":{"from":0,"to":3},"stderr":{"from":0,"to":0},"report":null})");
    CHECK(read.out == "one");
    CHECK(read.lost.empty());
    CHECK(read.ends == 0);
    CHECK(read.last.payload == R"({"report":null})");
    reading.open(3, about("read", id, R"("stdout":1,"stderr":0)"));
    CHECK(reading.next().payload.find(R"("stdout":{"from":1,"to":3})") != std::string::npos);
    Message piece = reading.next();
    REQUIRE(piece.kind == Kind::kData);
    CHECK(parse_data(piece.payload)->offset == 1);
    CHECK(parse_data(piece.payload)->bytes == "ne");
    CHECK(reading.next().kind == Kind::kExit);
    // Input is nothing that a reader gives; it ends the reading alone.
    reading.open(2, about("read", id, R"("stdout":0,"stderr":0,"follow":true)"));
    reading.input(2, 0, "x");
    CHECK(reading.collect(2).code() == "bad-request");

    host.input(1, 3, " two");
    host.end_input(1, 7);
    Outcome rest = host.collect(1);
    CHECK(heard.out + rest.out == "one two");
    CHECK(rest.lost.empty());
    // Of one that has ended: the ends of its streams too, and how it ended.
    Outcome whole = reading.run(about("read", id, R"("stdout":0,"stderr":0)"));
    CHECK(whole.out == "one two");
    CHECK(whole.ends == 2);
    CHECK(whole.last.payload == "{\"report\":" + rest.last.payload + "}");
    CHECK(whole.ack.payload.find(rest.last.payload) != std::string::npos);
  });
}

TEST_CASE("a reader is told what the ring does not hold, and refused what has not come") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    std::string id, whole = numbers(100000);
    host.run(exec_request(R"("argv":["seq","1","100000"],"ringBytes":4096)", &id));
    Outcome read = host.run(about("read", id, R"("stdout":0,"stderr":0)"));
    REQUIRE(read.lost.size() == 1);
    CHECK(read.lost[0] == std::pair<uint64_t, uint64_t>{0, whole.size() - 4096});
    CHECK(read.out == whole.substr(whole.size() - 4096));
    Message refused = host.ask(about("read", id, R"("stdout":0,"stderr":1)"));
    CHECK(refused.text("code") == "bad-offset");
    CHECK(refused.text("field") == "stderr");
    CHECK(host.ask(about("read", "ex_zzzzzzzzzzzzzzzzzzzzzzzzzz", R"("stdout":0,"stderr":0)")).text("code") ==
          "exec-not-found");
  });
}

TEST_CASE("any number may follow a command without its waiting for them") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect(), following = agent.connect();
    std::string id;
    host.open(1, exec_request(R"("argv":["cat"],"stdin":true)", &id));
    CHECK(host.next().kind == Kind::kAck);
    for (uint32_t channel : {1, 2}) {
      following.open(channel, about("read", id, R"("stdout":0,"stderr":0,"follow":true)"));
      CHECK(following.next().kind == Kind::kAck);
    }
    {
      Host gone = agent.connect();
      gone.open(1, about("read", id, R"("stdout":0,"stderr":0,"follow":true)"));
      CHECK(gone.next().kind == Kind::kAck);
    }
    // Answered behind the end of that connection.
    CHECK(agent.connect().ask(R"({"type":"list"})").kind == Kind::kAck);
    host.input(1, 0, "one");
    Outcome first, second;
    while (first.out != "one" || second.out != "one") {
      Message message = following.next();
      following.take(message.channel == 1 ? first : second, message);
    }
    following.send(Kind::kClose, 2);
    host.input(1, 3, " two");
    host.end_input(1, 7);
    Outcome heard = host.collect(1);
    CHECK(heard.out == "one two");
    Outcome rest = following.collect(1);
    CHECK(first.out + rest.out == "one two");
    CHECK(rest.ends == 2);
    CHECK(rest.last.payload == "{\"report\":" + heard.last.payload + "}");
  });
}

TEST_CASE("a reader that stops reading stalls its own channel, and is told what it missed") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect(), reading = agent.connect();
    std::string id, whole = numbers(200000);
    host.open(1, exec_request(R"("argv":["sh","-c","read go; seq 1 200000"],"stdin":true,"ringBytes":4096)", &id));
    CHECK(host.next().kind == Kind::kAck);
    reading.open(1, about("read", id, R"("stdout":0,"stderr":0,"follow":true)"));
    host.input(1, 0, "go\n");
    // Its credit is spent in pieces: what it misses meanwhile is told once for each piece, whatever was written.
    CHECK(host.collect(1).out == whole);
    uint64_t next = 0, lost = 0, got = 0, losses = 0, pieces = 0;
    Message message = reading.next();
    while (message.kind != Kind::kExit) {
      message = reading.next();
      if (message.kind == Kind::kLost) {
        Lost gone = *parse_lost(message.payload);
        CHECK(gone.from == next);
        next = gone.to;
        lost += gone.to - gone.from;
        losses++;
      } else if (message.kind == Kind::kData) {
        Data data = *parse_data(message.payload);
        CHECK(data.offset == next);
        CHECK(data.bytes == whole.substr(data.offset, data.bytes.size()));
        next += data.bytes.size();
        got += data.bytes.size();
        pieces++;
        reading.credit(1, static_cast<uint32_t>(data.bytes.size()));
      }
    }
    CHECK(next == whole.size());
    CHECK(lost + got == whole.size());
    CHECK(losses <= pieces + 1);
  });
}

TEST_CASE("who reads a command that is forgotten is told so") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect(), reading = agent.connect();
    std::string id;
    host.run(exec_request(R"("argv":["seq","1","100000"])", &id));
    // More than its credit: it waits in the middle.
    reading.open(1, about("read", id, R"("stdout":0,"stderr":0)"));
    reading.open(2, about("read", id, R"("stdout":0,"stderr":0)"));
    Outcome stalled[2];
    while (stalled[0].out.size() + stalled[1].out.size() < 2 * kInitialCredit) {
      Message message = reading.next();
      if (message.kind == Kind::kData) reading.take(stalled[message.channel - 1], message);
    }
    CHECK(host.ask(about("forget", id)).kind == Kind::kAck);
    for (int i = 0; i < 2; i++) CHECK(reading.next().text("code") == "exec-not-found");
  });
}

TEST_CASE("any number may wait for a command's end, and those that have gone are not told") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect(), waiting = agent.connect();
    std::string id;
    host.open(1, exec_request(R"("argv":["cat"],"stdin":true)", &id));
    CHECK(host.next().kind == Kind::kAck);
    for (uint32_t channel : {1, 2, 3}) {
      waiting.open(channel, about("wait", id));
      CHECK(waiting.next().kind == Kind::kAck);
    }
    waiting.send(Kind::kClose, 2);
    // Input is nothing that a wait takes; it ends that one alone.
    waiting.input(3, 0, "x");
    CHECK(waiting.next().text("code") == "bad-request");
    {
      Host gone = agent.connect();
      gone.open(1, about("wait", id));
      CHECK(gone.next().kind == Kind::kAck);
    }
    // Answered behind the end of that connection.
    CHECK(agent.connect().ask(R"({"type":"list"})").kind == Kind::kAck);
    host.end_input(1, 0);
    Outcome outcome = host.collect(1);
    CHECK(outcome.last.number("code") == 0);
    Message told = waiting.next();
    CHECK(told.kind == Kind::kExit);
    CHECK(told.channel == 1);
    CHECK(told.payload == outcome.last.payload);
    // Of one that has finished, at once; also where it is forgotten in the same turn.
    waiting.open(4, about("wait", id));
    waiting.open(5, about("forget", id));
    waiting.open(6, about("wait", id));
    std::map<uint32_t, Kind> last;
    for (int i = 0; i < 4; i++) {
      Message message = waiting.next();
      last[message.channel] = message.kind;
    }
    CHECK(last == std::map<uint32_t, Kind>{{4, Kind::kExit}, {5, Kind::kAck}, {6, Kind::kError}});
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

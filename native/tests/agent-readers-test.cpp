// Whoever reads what is kept of a command, or waits for its end, beside the one who listens to it.
#include <doctest/doctest.h>

#include "tests/agent-process.h"
#include "tests/host.h"

using namespace plybox;
using namespace plybox::test;

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

// Commands as a host sees them: what they run as, with what, and how they end.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "tests/agent-process.h"
#include "tests/host.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

TEST_CASE("a command's output and exit code arrive whole") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    Outcome outcome = host.run(shell_request("echo out; echo err >&2; exit 3"));
    CHECK(outcome.out == "out\n");
    CHECK(outcome.err == "err\n");
    CHECK(outcome.ends == 2);
    CHECK(outcome.ack.number("pid") > 0);
    CHECK(outcome.last.number("code") == 3);
    CHECK(outcome.last.is_null("signal"));
    CHECK(outcome.last.is_null("limit"));
    CHECK(outcome.last.number("stdoutBytes") == 4);
    CHECK(outcome.last.number("stderrBytes") == 4);
    CHECK(outcome.last.fraction("wallMs") > 0);
    CHECK(outcome.last.number("peakRssBytes") > 100000);
  });
}

TEST_CASE("a signal that ends a command is named") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Outcome outcome = agent.connect().run(shell_request("kill -SEGV $$"));
    CHECK(outcome.last.text("signal") == "SIGSEGV");
    CHECK(outcome.last.is_null("code"));
  });
}

TEST_CASE("with merge the two streams are one, in the order in which they were written") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Outcome outcome = agent.connect().run(shell_request("echo a; echo b >&2; echo c", R"("merge":true)"));
    CHECK(outcome.out == "a\nb\nc\n");
    CHECK(outcome.err == "");
    CHECK(outcome.last.number("stdoutBytes") == 6);
    CHECK(outcome.last.number("stderrBytes") == 0);
  });
}

TEST_CASE("a command starts clean: three descriptors, no signal blocked or ignored, a session of its own") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    CHECK(host.run(shell_request("cd /proc/self/fd && echo *")).out.starts_with("0 1 2"));
    CHECK(host.run(exec_request(R"("argv":["ls","/proc/self/fd"])")).out == "0\n1\n2\n3\n");
    Outcome outcome = host.run(exec_request(R"("argv":["cat","/proc/self/status","/proc/self/stat"])"));
    for (const char* name : {"SigBlk", "SigIgn", "SigCgt"}) {
      CHECK(outcome.out.find(std::string(name) + ":\t0000000000000000\n") != std::string::npos);
    }
    std::string pid = std::to_string(outcome.ack.number("pid"));
    std::string session = " " + std::to_string(agent.pid()) + " " + pid + " " + pid + " ";
    CHECK(outcome.out.find(session) != std::string::npos);
  });
}

TEST_CASE("the agent's environment is under the command's, and PATH is the command's own") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    CHECK(host.run(shell_request("echo $FROM_SANDBOX $A $TERM", R"("env":{"A":"b c"})")).out == "yes b c\n");
    CHECK(host.run(exec_request(R"("argv":["true"],"env":{"PATH":"/nowhere"})")).code() == "not-found");
    CHECK(host.run(exec_request(R"("argv":["./true"],"cwd":"/usr/bin")")).last.number("code") == 0);
    CHECK(host.run(exec_request(R"("argv":["pwd"],"cwd":"/usr")")).out == "/usr\n");
  });
}

TEST_CASE("a command that cannot start says why, and is not known afterwards") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    struct Row {
      const char* fields;
      const char* code;
      const char* step;
      const char* error;
    };
    for (const Row& row : {
             Row{R"("argv":["no-such-program"])", "not-found", "execve", "ENOENT"},
             Row{R"("argv":["/etc/passwd/x"])", "not-found", "execve", "ENOENT"},
             Row{R"("argv":["/etc/passwd"])", "not-executable", "execve", "EACCES"},
             Row{R"("argv":["/tmp"])", "not-executable", "execve", "EACCES"},
             Row{R"("argv":["true"],"cwd":"/no/such")", "bad-cwd", "cwd", "ENOENT"},
             Row{R"("argv":["true"],"cwd":"/root","user":"daemon")", "bad-cwd", "cwd", "EACCES"},
             Row{R"("argv":["true"],"user":"no-such-user")", "bad-user", "", ""},
             Row{R"("argv":["true"],"user":"root:no-such-group")", "bad-user", "", ""},
         }) {
      CAPTURE(row.fields);
      Outcome outcome = host.run(exec_request(row.fields));
      CHECK(outcome.code() == row.code);
      CHECK(outcome.last.text("step") == row.step);
      CHECK(outcome.last.text("errno") == row.error);
      CHECK(outcome.last.text("message") != "");
    }
    CHECK(host.ask(R"({"type":"list"})").payload == R"({"execs":[]})");
  });
}

TEST_CASE("a command runs as the user that is asked for") {
  if (geteuid() != 0) return skipped("only root can become others");
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    CHECK(host.run(shell_request("id -u; id -g; id -G", R"("user":"1234:567")")).out == "1234\n567\n567\n");
    CHECK(host.run(shell_request("id -un; pwd; echo hi > /dev/stdout", R"("user":"daemon")")).out ==
          "daemon\n/usr/sbin\nhi\n");
    CHECK(host.run(shell_request("grep CapEff /proc/self/status", R"("user":"daemon")")).out ==
          "CapEff:\t0000000000000000\n");
    CHECK(host.run(shell_request("id -u")).out == "0\n");
  });
}

TEST_CASE("users are those of the sandbox's own files, also after these have changed") {
  if (geteuid() != 0) return skipped("only root can make namespaces");
  for_each_agent([](const std::string& program) {
    TestDirectory directory;
    std::string passwd = directory.path() + "/passwd", group = directory.path() + "/group";
    auto write = [](const std::string& path, const char* text) { std::ofstream(path) << text; };
    write(passwd, "ann:x:501:502::/tmp:/bin/sh\n");
    write(group, "a:x:601:ann\nb:x:602:bob,ann\n");
    AgentProcess agent(program, {.own_namespace = true, .passwd_file = passwd, .group_file = group});
    Host host = agent.connect();
    std::string whoami = "id -u; id -g; id -G | tr ' ' '\\n' | sort | tr '\\n' ' '; pwd";
    CHECK(host.run(shell_request(whoami, R"("user":"ann")")).out == "501\n502\n502 601 602 /tmp\n");
    CHECK(host.run(shell_request(whoami, R"("user":"ann:b")")).out == "501\n602\n602 /tmp\n");
    CHECK(host.run(shell_request(whoami, R"("user":"daemon")")).code() == "bad-user");
    write(group, "a:x:601:ann\nb:x:602:bob\n");
    CHECK(host.run(shell_request(whoami, R"("user":"ann")")).out == "501\n502\n502 601 /tmp\n");
    write(passwd, "ann:x:503:502::/no/such/home:/bin/sh\n");
    CHECK(host.run(shell_request(whoami, R"("user":"ann")")).out == "503\n502\n502 601 /\n");
  });
}

TEST_CASE("standard input is what was sent, up to its end") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    CHECK(host.run(shell_request("cat; echo $?")).out == "0\n");

    host.open(1, exec_request(R"("argv":["cat"],"stdin":true)"));
    host.input(1, 0, "hello ");
    host.input(1, 6, "world");
    // What was taken already is passed over.
    host.input(1, 3, "lo world!");
    host.end_input(1, 12);
    CHECK(host.collect(1).out == "hello world!");

    host.open(2, exec_request(R"("argv":["cat"],"stdin":true)"));
    host.input(2, 1, "x");
    CHECK(host.collect(2).code() == "bad-offset");
  });
}

TEST_CASE("a megabyte of input flows through on credit") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    std::string bytes(1 << 20, '\0');
    for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<char>(i * 7 + (i >> 11));
    host.open(1, exec_request(R"("argv":["cat"],"stdin":true)"));
    size_t sent = 0, credit = kInitialCredit;
    Outcome outcome;
    while (outcome.last.kind != Kind::kExit) {
      size_t count = std::min({credit, bytes.size() - sent, size_t{50000}});
      if (count > 0) {
        host.input(1, sent, std::string_view(bytes).substr(sent, count));
        sent += count;
        credit -= count;
        if (sent == bytes.size()) host.end_input(1, sent);
        continue;
      }
      Message message = host.next();
      host.take(outcome, message);
      if (message.kind == Kind::kCredit) credit += *parse_credit(message.payload);
      if (message.kind == Kind::kData) host.credit(1, static_cast<uint32_t>(message.payload.size() - kDataHeader));
    }
    CHECK(outcome.out == bytes);
  });
}

TEST_CASE("a command that does not read its input is not held up by it") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    host.open(1, exec_request(R"("argv":["true"],"stdin":true)"));
    host.input(1, 0, std::string(kInitialCredit, 'x'));
    Outcome outcome = host.collect(1);
    CHECK(outcome.last.number("code") == 0);
    // Late frames for a channel that has ended are no error.
    host.input(1, kInitialCredit, "more");
    host.credit(1, 5);
    host.send(Kind::kClose, 1);
    CHECK(host.ask(R"({"type":"usage"})").kind == Kind::kAck);
  });
}

TEST_CASE("on a terminal a command has its size, its signals and an end of input") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host host = agent.connect();
    std::string id;
    std::string pty = R"("pty":{"columns":132,"rows":50})";
    CHECK(host.run(shell_request("test -t 0 && test -t 1 && test -t 2 && stty size && echo $TERM", pty)).out ==
          "50 132\r\nxterm-256color\r\n");

    host.open(
        1, exec_request(
               R"("argv":["sh","-c","stty -echo; echo ready; read line; stty size; echo got $line; cat; echo end"],)" +
                   pty,
               &id));
    Outcome outcome;
    while (outcome.out != "ready\r\n") host.take(outcome, host.next());
    CHECK(host.ask(about("resize", id, R"("columns":80,"rows":24)")).kind == Kind::kAck);
    host.input(1, 0, "word\n");
    host.end_input(1, 5);
    CHECK(host.collect(1).out == "24 80\r\ngot word\r\nend\r\n");

    host.open(2, exec_request(R"("argv":["sh","-c","echo ready; exec sleep 1000"],)" + pty));
    outcome = {};
    while (outcome.out != "ready\r\n") host.take(outcome, host.next());
    host.input(2, 0, "\x03");
    CHECK(host.collect(2).last.text("signal") == "SIGINT");

    host.open(3, exec_request(R"("argv":["sleep","1000"])", &id));
    CHECK(host.next().kind == Kind::kAck);
    CHECK(host.ask(about("resize", id, R"("columns":80,"rows":24)")).text("code") == "not-a-terminal");
  });
}

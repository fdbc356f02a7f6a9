// The process that serves a file request, and its connection.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "agent/processes.h"
#include "tests/files.h"
#include "tests/test-cgroup.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

namespace {

std::vector<Process> workers(const AgentProcess& agent) { return descendants(list_processes(), agent.pid()); }

}  // namespace

TEST_CASE("a file request is the only one of its connection") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    Host used = agent.connect();
    CHECK(used.ask(R"({"type":"list"})").kind == Kind::kAck);
    CHECK(used.ask(file_request("stat", "/")).text("code") == "bad-request");
    CHECK(used.ask(R"({"type":"list"})").kind == Kind::kAck);

    Host host = agent.connect();
    host.open(1, file_request("watch", tree.path()));
    REQUIRE(host.next().kind == Kind::kAck);
    host.open(2, R"({"type":"list"})");
    Message refused = host.next();
    CHECK(refused.kind == Kind::kError);
    CHECK(refused.channel == 0);
    CHECK(refused.text("code") == "protocol");
    CHECK(host.hung_up());
  });
}

TEST_CASE("frames that come with the request, or in single bytes behind it, are not lost") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    std::string bytes;
    append_frame(bytes, Kind::kHello, 0,
                 R"({"generation":1,"role":"host","sandbox":"sb_01k6zq3v9nabcdefghjkmnpqrs","incarnation":7})");
    append_frame(bytes, Kind::kOpen, 1, file_request("write", tree.at("a")));
    append_data_header(bytes, 1, 0, 0, 5);
    bytes += "hello";
    append_data_header(bytes, 1, 0, 5, 6);
    bytes += " world";
    append_end(bytes, 1, 0, 11);
    // Each place to cut the stream in two.
    for (size_t cut = bytes.size() - 60; cut <= bytes.size(); cut++) {
      Host host = agent.connect_silently();
      host.send_raw(std::string_view(bytes).substr(0, cut));
      REQUIRE(host.next().kind == Kind::kHello);
      host.send_raw(std::string_view(bytes).substr(cut));
      CHECK(host.collect(1).last.number("bytes") == 11);
      REQUIRE(tree.read("a") == "hello world");
      REQUIRE(unlink(tree.at("a").c_str()) == 0);
    }
  });
}

TEST_CASE("what breaks the protocol on a worker's connection ends it and says so") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("a", "x");
    std::string data, wrong_stream, ended, credit;
    append_data_header(data, 1, 0, 0, 1);
    data += "x";
    append_data_header(wrong_stream, 1, 1, 0, 1);
    wrong_stream += "x";
    append_credit(credit, 1, kMaxCredit);
    struct Row {
      const char* op;
      std::string bytes;
    };
    for (const Row& row : {Row{"watch", data}, Row{"watch", wrong_stream}, Row{"watch", credit},
                           Row{"watch", std::string("\x05\0\0\0\x63\0\0\0\0", 9)},
                           Row{"watch", std::string("\xff\xff\xff\xff\x04\0\0\0\0", 9)}, Row{"write", wrong_stream}}) {
      Host host = agent.connect();
      host.open(1, file_request(row.op, row.op == std::string("write") ? tree.at("a") : tree.path()));
      REQUIRE(host.next().kind == Kind::kAck);
      host.send_raw(row.bytes);
      Message message = host.next();
      while (message.kind == Kind::kCredit) message = host.next();
      CHECK(message.kind == Kind::kError);
      CHECK(message.text("code") == "protocol");
      CHECK(host.hung_up());
    }
    CHECK(tree.read("a") == "x");
    CHECK(tree.count() == 1);
  });
}

TEST_CASE("a worker ends with its connection, whatever it does") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("big", "");
    REQUIRE(truncate(tree.at("big").c_str(), 1 << 30) == 0);
    {
      Host watch = agent.connect(), read = agent.connect(), write = agent.connect();
      watch.open(1, file_request("watch", tree.path()));
      read.open(1, file_request("read", tree.at("big")));
      write.open(1, file_request("write", tree.at("new")));
      for (Host* host : {&watch, &read, &write}) REQUIRE(host->next().kind == Kind::kAck);
      CHECK(workers(agent).size() == 3);
    }
    eventually([&] { return workers(agent).empty(); });
    CHECK(tree.count() == 1);
  });
}

TEST_CASE("a reader that stops reading stops its own worker alone") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("big", "");
    REQUIRE(truncate(tree.at("big").c_str(), 64 << 20) == 0);
    Host stalled = agent.connect();
    stalled.open(1, file_request("read", tree.at("big")));
    REQUIRE(stalled.next().kind == Kind::kAck);
    // As much as the credit, and then nothing.
    size_t got = 0;
    while (got < kInitialCredit) got += stalled.next().payload.size() - kDataHeader;
    CHECK(got == kInitialCredit);
    CHECK(file(agent, "read", tree.at("big")).last.number("bytes") == 64 << 20);
    stalled.credit(1, 64 << 20);
    CHECK(stalled.next().payload.size() > kDataHeader);
  });
}

TEST_CASE("there are at most 64 workers, and room again when one has ended") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    std::vector<Host> hosts;
    for (int i = 0; i < 64; i++) {
      hosts.push_back(agent.connect());
      // A file that is still to come. Of watches a user may have only so many, whoever else has some.
      hosts.back().open(1, file_request("write", tree.at("new")));
      REQUIRE(hosts.back().next().kind == Kind::kAck);
    }
    Host over = agent.connect();
    CHECK(over.ask(file_request("stat", "/")).text("code") == "no-resources");
    hosts.pop_back();
    eventually([&] { return file(agent, "stat", "/").last.kind == Kind::kAck; });
  });
}

TEST_CASE("a worker holds nothing of the agent's, and is not to be looked into") {
  for_each_agent([](const std::string& program) {
    TestCgroup cgroup("memory");
    AgentSettings settings;
    settings.memory_directory = cgroup.path();
    AgentProcess agent(program, settings);
    Host other = agent.connect();
    Host host = agent.connect();
    Tree tree;
    host.open(1, file_request("watch", tree.path()));
    REQUIRE(host.next().kind == Kind::kAck);
    std::vector<Process> all = workers(agent);
    REQUIRE(all.size() == 1);
    // The first three are whatever this test was started with.
    std::string links = run_command("cd /proc/" + std::to_string(all[0].pid) +
                                    "/fd && for f in *; do [ $f -lt 3 ] || readlink $f; done");
    size_t sockets = 0;
    for (size_t at = links.find("socket:"); at != links.npos; at = links.find("socket:", at + 1)) sockets++;
    CHECK(sockets == 1);
    CHECK(links.find("signalfd") == links.npos);
    CHECK(links.find("eventpoll") == links.npos);
    CHECK(links.find("cgroup") == links.npos);
    pid_t older = all[0].pid;
    // Of a process that is not dumpable, root owns everything.
    struct stat status;
    Host as_user = agent.connect();
    as_user.open(1, file_request("watch", tree.path(), R"("user":"4321:8765")"));
    REQUIRE(as_user.next().kind == Kind::kAck);
    all = workers(agent);
    REQUIRE(all.size() == 2);
    pid_t newer = all[0].pid == older ? all[1].pid : all[0].pid;
    REQUIRE(stat(("/proc/" + std::to_string(newer) + "/mem").c_str(), &status) == 0);
    CHECK(status.st_uid == 0);
    std::string ids = run_command("grep -E '^(Uid|Gid|Groups|CapEff)' /proc/" + std::to_string(newer) + "/status");
    CHECK(ids.find("Uid:\t4321\t4321\t4321\t4321\nGid:\t8765\t8765\t8765\t8765\nGroups:\t \n") == 0);
    CHECK(ids.find("CapEff:\t0000000000000000") != ids.npos);
    CHECK(run_command("cat /proc/" + std::to_string(newer) + "/oom_score_adj") == "100\n");
  });
}

TEST_CASE("stop ends the workers, and what they had not finished is gone") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    Host watch = agent.connect(), write = agent.connect(), control = agent.connect();
    watch.open(1, file_request("watch", tree.path()));
    write.open(1, file_request("write", tree.at("new")));
    for (Host* host : {&watch, &write}) REQUIRE(host->next().kind == Kind::kAck);
    write.input(1, 0, "half");
    CHECK(control.ask(R"({"type":"stop"})").kind == Kind::kAck);
    CHECK(watch.hung_up());
    CHECK(write.hung_up());
    CHECK(agent.wait() == 0);
    CHECK(tree.count() == 0);
  });
}

TEST_CASE("after stop a file request is answered stopping") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Host busy = agent.connect(), late = agent.connect();
    // A command that outlasts the polite signal keeps the agent there.
    busy.open(1, shell_request("trap '' TERM; echo ready; while :; do sleep 1; done"));
    REQUIRE(busy.next().kind == Kind::kAck);
    REQUIRE(busy.next().kind == Kind::kData);
    busy.open(2, R"({"type":"stop"})");
    while (busy.next().channel != 2) {
    }
    CHECK(late.ask(file_request("stat", "/")).text("code") == "stopping");
    CHECK(agent.wait() == 0);
  });
}

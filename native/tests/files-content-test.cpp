// Reading and writing the content of files.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/processes.h"
#include "tests/files.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

namespace {

std::string pattern(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; i++) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

}  // namespace

TEST_CASE("what is written is read back, of every size around the window and the frame") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    for (size_t size : {0ul, 1ul, 262143ul, 262144ul, 262145ul, 1048576ul, 3000001ul}) {
      CAPTURE(size);
      std::string content = pattern(size);
      Outcome written = file_with_input(agent, "write", tree.at("a"), content);
      CHECK(written.last.number("bytes") == size);
      CHECK(tree.read("a") == content);
      Outcome got = file(agent, "read", tree.at("a"));
      CHECK(got.out == content);
      CHECK(got.ends == 1);
      CHECK(got.last.number("bytes") == size);
      CHECK(got.ack.number("to") == size);
      CHECK(got.ack.text("etag") == written.last.text("etag"));
    }
    CHECK(tree.count() == 1);
  });
}

TEST_CASE("a range is read, cut at the end of the file") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("a", "0123456789");
    CHECK(file(agent, "read", tree.at("a"), R"("from":2,"to":5)").out == "234");
    CHECK(file(agent, "read", tree.at("a"), R"("from":8,"to":50)").out == "89");
    CHECK(file(agent, "read", tree.at("a"), R"("from":10)").out.empty());
    Outcome behind = file(agent, "read", tree.at("a"), R"("from":11)");
    CHECK(behind.last.kind == Kind::kExit);
    CHECK(behind.out.empty());
    CHECK(file(agent, "read", tree.at("a"), R"("from":5,"to":2)").last.text("field") == "to");
    // A hole is zeros.
    REQUIRE(truncate(tree.at("a").c_str(), 1 << 20) == 0);
    Outcome hole = file(agent, "read", tree.at("a"), R"("from":9)");
    CHECK(hole.out.size() == (1 << 20) - 9);
    CHECK(hole.out.substr(0, 3) == std::string("9\0\0", 3));
    // Of a file that does not tell its size.
    CHECK(file(agent, "read", "/proc/self/comm").out == "plyagent-file\n");
  });
}

TEST_CASE("an etag changes with the content, and an old one is refused") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    std::string etag = file_with_input(agent, "write", tree.at("a"), "one").last.text("etag");
    CHECK(file(agent, "stat", tree.at("a")).last.text("etag") == etag);
    std::string match = R"("ifMatch":")" + etag + "\"";
    CHECK(file(agent, "read", tree.at("a"), match).out == "one");
    Outcome written = file_with_input(agent, "write", tree.at("a"), "two", match);
    CHECK(written.last.text("etag") != etag);
    for (const char* how : {"replace", "append"}) {
      std::string fields = match + R"(,"how":")" + how + "\"";
      CHECK(file_with_input(agent, "write", tree.at("a"), "three", fields).code() == "changed");
    }
    CHECK(file(agent, "read", tree.at("a"), match).code() == "changed");
    CHECK(file_with_input(agent, "write", tree.at("missing"), "x", match).code() == "changed");
    CHECK(tree.read("a") == "two");
    CHECK(tree.count() == 1);
  });
}

TEST_CASE("a file that changes while it is written with an etag stays as it has become") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    std::string etag = file_with_input(agent, "write", tree.at("a"), "one").last.text("etag");
    Host host = agent.connect();
    host.open(1, file_request("write", tree.at("a"), R"("ifMatch":")" + etag + "\""));
    REQUIRE(host.next().kind == Kind::kAck);
    tree.write("a", "somebody else's");
    CHECK(send_input(host, 1, "mine").code() == "changed");
    CHECK(tree.read("a") == "somebody else's");
  });
}

TEST_CASE("replacing keeps the mode, the owner and the place that a symlink points to") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("d/file", "old");
    REQUIRE(chown(tree.at("d/file").c_str(), 1234, 567) == 0);
    REQUIRE(chmod(tree.at("d/file").c_str(), 04750) == 0);
    REQUIRE(symlink("d/file", tree.at("link").c_str()) == 0);
    REQUIRE(symlink("link", tree.at("chain").c_str()) == 0);
    file_with_input(agent, "write", tree.at("chain"), "new", R"("mode":384)");
    CHECK(tree.read("d/file") == "new");
    CHECK(S_ISLNK(status_of(tree.at("link")).st_mode));
    struct stat status = status_of(tree.at("d/file"));
    CHECK((status.st_mode & 07777) == 04750);
    CHECK(status.st_uid == 1234);
    CHECK(status.st_gid == 567);
    // One that points to nothing yet is the place of a new file.
    REQUIRE(symlink("d/later", tree.at("dangling").c_str()) == 0);
    file_with_input(agent, "write", tree.at("dangling"), "made", R"("mode":438)");
    CHECK(tree.read("d/later") == "made");
    CHECK((status_of(tree.at("d/later")).st_mode & 07777) == 0666);
    REQUIRE(symlink("loop", tree.at("loop").c_str()) == 0);
    CHECK(file_with_input(agent, "write", tree.at("loop"), "x").code() == "too-many-links");
  });
}

TEST_CASE("create makes only what is not there, append adds, parents are made on demand") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    CHECK(file_with_input(agent, "write", tree.at("a"), "1", R"("how":"create")").last.number("bytes") == 1);
    CHECK(file_with_input(agent, "write", tree.at("a"), "2", R"("how":"create")").code() == "file-exists");
    REQUIRE(symlink("nowhere", tree.at("link").c_str()) == 0);
    CHECK(file_with_input(agent, "write", tree.at("link"), "2", R"("how":"create")").code() == "file-exists");
    CHECK_FALSE(tree.has("nowhere"));
    file_with_input(agent, "write", tree.at("a"), "23", R"("how":"append")");
    file_with_input(agent, "write", tree.at("b"), "new", R"("how":"append","mode":384)");
    CHECK(tree.read("a") == "123");
    CHECK((status_of(tree.at("b")).st_mode & 07777) == 0600);
    CHECK(file_with_input(agent, "write", tree.at("x/y/z"), "1").code() == "no-such-file");
    file_with_input(agent, "write", tree.at("x/y/z"), "deep", R"("parents":true)");
    CHECK(tree.read("x/y/z") == "deep");
    CHECK(file_with_input(agent, "write", tree.at("a/b"), "1", R"("parents":true)").code() == "not-a-directory");
    CHECK(file_with_input(agent, "write", tree.at("x"), "1").code() == "is-a-directory");
    CHECK(file_with_input(agent, "write", tree.path() + "/..", "1").code() == "bad-request");
  });
}

TEST_CASE("a write that is cut off leaves the old content and nothing else") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("a", "old");
    for (const char* how : {"replace", "create"}) {
      std::string path = tree.at(how == std::string("create") ? "new" : "a");
      {
        Host host = agent.connect();
        host.open(1, file_request("write", path, std::string(R"("how":")") + how + "\""));
        REQUIRE(host.next().kind == Kind::kAck);
        host.input(1, 0, "half of");
      }
      {
        Host host = agent.connect();
        host.open(1, file_request("write", path, std::string(R"("how":")") + how + "\""));
        REQUIRE(host.next().kind == Kind::kAck);
        host.input(1, 0, "half of");
        host.send(Kind::kClose, 1);
        CHECK(host.hung_up());
      }
      {
        // A gap.
        Host host = agent.connect();
        host.open(1, file_request("write", path, std::string(R"("how":")") + how + "\""));
        host.input(1, 7, "half of");
        CHECK(host.collect(1).code() == "bad-offset");
      }
    }
    // The workers end with their connections.
    eventually([&] { return descendants(list_processes(), agent.pid()).empty(); });
    CHECK(tree.read("a") == "old");
    CHECK(tree.count() == 1);
  });
}

TEST_CASE("names may hold newlines and bytes that are no UTF-8") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    std::string name = "a\n\"\\\xff\xc3";
    file_with_input(agent, "write", tree.at(name), "odd");
    CHECK(tree.read(name) == "odd");
    Outcome listed = file(agent, "list", tree.path());
    CHECK(listed.out.find("\"path\":" + json_bytes(name)) != std::string::npos);
    CHECK(file(agent, "read", tree.at(name)).out == "odd");
    CHECK(file(agent, "move", tree.at(name), "\"to\":" + json_bytes(tree.at("\xfe"))).last.kind == Kind::kAck);
    CHECK(tree.has("\xfe"));
    Message stat = file(agent, "stat", tree.at("\xfe")).last;
    CHECK(stat.payload.find("\"name\":{\"base64\":\"/g==\"}") != std::string::npos);
    CHECK(file(agent, "remove", tree.at("\xfe")).last.number("removed") == 1);
    CHECK(file(agent, "stat", std::string(5000, 'x').insert(0, "/")).code() == "name-too-long");
    Host host = agent.connect();
    CHECK(host.ask(R"({"type":"file","op":"stat","path":{"base64":"L2EAYg=="}})").text("code") == "bad-request");
    CHECK(host.ask(R"({"type":"file","op":"stat","path":{"base64":"L2E"}})").text("code") == "bad-request");
  });
}

TEST_CASE("what is no regular file is neither read nor written, and nothing waits for it") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    REQUIRE(mkfifo(tree.at("fifo").c_str(), 0600) == 0);
    REQUIRE(mknod(tree.at("device").c_str(), S_IFCHR | 0600, 0x103) == 0);
    REQUIRE(mknod(tree.at("socket").c_str(), S_IFSOCK | 0600, 0) == 0);
    // A writer that is waiting would be let in by whoever opens the FIFO for reading.
    UniqueFd reader(open(tree.at("fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    REQUIRE(reader);
    for (const char* name : {"fifo", "device", "socket"}) {
      CAPTURE(name);
      CHECK(file(agent, "read", tree.at(name)).code() == "not-a-file");
      for (const char* how : {"replace", "append"}) {
        CHECK(file_with_input(agent, "write", tree.at(name), "x", std::string(R"("how":")") + how + "\"").code() ==
              "not-a-file");
      }
    }
    char byte;
    CHECK(read(reader.get(), &byte, 1) == 0);
    CHECK(file(agent, "read", tree.path()).code() == "is-a-directory");
    CHECK(file(agent, "read", tree.at("missing")).code() == "no-such-file");
    CHECK(file(agent, "search", tree.path(), R"("content":"x")").last.number("files") == 0);
  });
}

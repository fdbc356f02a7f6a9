// What a watch tells.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <utility>

#include "tests/files.h"

using namespace plybox;
using namespace plybox::test;

namespace {

class Watch {
 public:
  Watch(AgentProcess& agent, const std::string& path, const std::string& fields = "") : host_(agent.connect()) {
    host_.open(1, file_request("watch", path, fields));
    REQUIRE(host_.next().kind == Kind::kAck);
  }

  // The next event as "kind path from type", with what there is of it. How often a file is told to be modified is the
  // kernel's business: once counts.
  std::string next() {
    std::string event = take();
    while (event == last_ && event.starts_with("modified")) event = take();
    last_ = event;
    return event;
  }
  // Events up to `last`, as a set: what is told twice counts once.
  std::set<std::string> until(const std::string& last) {
    std::set<std::string> events;
    for (;;) {
      std::string event = next();
      events.insert(event);
      if (event == last || event == "exit") return events;
    }
  }
  // Passes over events until one of this kind.
  void await(const std::string& kind) {
    while (!take_line().payload.starts_with("{\"kind\":\"" + kind + "\"")) {
    }
  }
  Host& host() { return host_; }

 private:
  Message take_line() {
    while (queue_.find('\n', taken_) == queue_.npos) {
      queue_.erase(0, std::exchange(taken_, 0));
      Message message = host_.next();
      if (message.kind != Kind::kData) return message;
      queue_ += parse_data(message.payload)->bytes;
      host_.credit(1, static_cast<uint32_t>(message.payload.size() - kDataHeader));
    }
    size_t start = std::exchange(taken_, queue_.find('\n', taken_) + 1);
    return {Kind::kData, 1, queue_.substr(start, taken_ - 1 - start)};
  }

  std::string take() {
    Message line = take_line();
    if (line.kind != Kind::kData) return line.kind == Kind::kExit ? "exit" : "end";
    std::string text = line.text("kind");
    for (const char* field : {"path", "from", "type"}) {
      if (std::string value = line.text(field); !value.empty()) text += " " + value;
    }
    return text;
  }
  Host host_;
  std::string queue_;
  size_t taken_ = 0;  // of it
  std::string last_;
};

}  // namespace

TEST_CASE("a watch tells what is made, changed, moved and removed, in order") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("d/old", "");
    Watch watch(agent, tree.path());
    tree.write("new", "");
    CHECK(watch.next() == "created new file");
    tree.write("d/old", "content");
    CHECK(watch.next() == "modified d/old");
    REQUIRE(chmod(tree.at("d/old").c_str(), 0600) == 0);
    CHECK(watch.next() == "attributes d/old");
    REQUIRE(rename(tree.at("d/old").c_str(), tree.at("moved").c_str()) == 0);
    CHECK(watch.next() == "moved moved d/old file");
    REQUIRE(symlink("moved", tree.at("link").c_str()) == 0);
    CHECK(watch.next() == "created link symlink");
    REQUIRE(unlink(tree.at("moved").c_str()) == 0);
    CHECK(watch.next() == "removed moved");
    REQUIRE(rmdir(tree.at("d").c_str()) == 0);
    CHECK(watch.next() == "removed d");
    std::string odd = "\n\xff";
    tree.write(odd, "");
    CHECK(watch.next() == "created file");
  });
}

TEST_CASE("new directories are watched too, and what they held already is told") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    Watch watch(agent, tree.path());
    // Faster than a watch can be set on each.
    for (int round = 0; round < 20; round++) {
      std::string base = "r" + std::to_string(round);
      tree.write(base + "/a/b/c/file", "");
      tree.write(base + "/last", "");
      std::set<std::string> told = watch.until("created " + base + "/last file");
      // What the scan of the deepest has found may come behind.
      while (!told.contains("created " + base + "/a/b/c/file file")) told.insert(watch.next());
      for (const char* name : {"", "/a", "/a/b", "/a/b/c"})
        CHECK(told.contains("created " + base + name + " directory"));
    }
    tree.write("r7/a/b/c/file", "later");
    watch.until("modified r7/a/b/c/file");
  });
}

TEST_CASE("a directory that moves keeps its watches under its new path, one that leaves loses them") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree, elsewhere;
    tree.write("d/sub/file", "");
    tree.write("dd/file", "");
    Watch watch(agent, tree.path());
    REQUIRE(rename(tree.at("d").c_str(), tree.at("e").c_str()) == 0);
    CHECK(watch.next() == "moved e d directory");
    tree.write("e/sub/file", "1");
    CHECK(watch.next() == "modified e/sub/file");
    tree.write("dd/file", "1");
    CHECK(watch.next() == "modified dd/file");
    REQUIRE(rename(tree.at("e").c_str(), elsewhere.at("e").c_str()) == 0);
    CHECK(watch.next() == "removed e");
    elsewhere.write("e/sub/file", "2");
    tree.write("marker", "");
    CHECK(watch.next() == "created marker file");
    // And back, as something new.
    REQUIRE(rename(elsewhere.at("e").c_str(), tree.at("f").c_str()) == 0);
    CHECK(watch.until("created f/sub/file file").contains("created f directory"));
    tree.write("f/sub/file", "3");
    CHECK(watch.until("modified f/sub/file").size() >= 1);
  });
}

TEST_CASE("a watch without recursion, and one of a file, tell of that alone") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("d/file", "");
    Watch flat(agent, tree.path(), R"("recursive":false)");
    Watch single(agent, tree.at("d/file"));
    tree.write("d/other", "");
    tree.write("d/file", "1");
    CHECK(single.next() == "modified .");
    tree.write("top", "");
    CHECK(flat.next() == "created top file");
    REQUIRE(unlink(tree.at("d/file").c_str()) == 0);
    CHECK(single.next() == "gone");
    CHECK(single.next() == "end");
    CHECK(single.next() == "exit");
  });
}

TEST_CASE("a watch ends with what it watches, removed or moved") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    for (bool removed : {true, false}) {
      REQUIRE(mkdir(tree.at("d").c_str(), 0755) == 0);
      REQUIRE(symlink("d", tree.at("link").c_str()) == 0);
      Watch watch(agent, tree.at("link"));
      if (removed) {
        REQUIRE(rmdir(tree.at("d").c_str()) == 0);
      } else {
        REQUIRE(rename(tree.at("d").c_str(), tree.at("e").c_str()) == 0);
      }
      CHECK(watch.next() == "gone");
      CHECK(watch.next() == "end");
      CHECK(watch.next() == "exit");
      CHECK(watch.host().hung_up());
      REQUIRE(unlink(tree.at("link").c_str()) == 0);
    }
  });
}

TEST_CASE("what happens below a path that no line could tell is told as overflow") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    UniqueFd top(open(tree.path().c_str(), O_DIRECTORY | O_CLOEXEC));
    // Each is as deep as can be watched; one below the other is not.
    auto dig = [&](const std::string& first) {
      UniqueFd at(dup(top.get()));
      for (int level = 0; level < 16; level++) {
        std::string name = level == 0 ? first : std::string(250, 'd');
        REQUIRE(mkdirat(at.get(), name.c_str(), 0755) == 0);
        at = UniqueFd(openat(at.get(), name.c_str(), O_DIRECTORY | O_CLOEXEC));
      }
      return at;
    };
    UniqueFd a = dig("a"), b = dig("b");
    Watch watch(agent, tree.path());
    REQUIRE(mknodat(a.get(), "file", S_IFREG | 0644, 0) == 0);
    watch.await("created");
    REQUIRE(renameat(top.get(), "a", b.get(), "a") == 0);
    watch.await("moved");
    REQUIRE(mknodat(a.get(), "later", S_IFREG | 0644, 0) == 0);
    watch.await("overflow");
    tree.write("near", "");
    watch.until("created near file");
    for (const char* name : {"a", "b"}) file(agent, "remove", tree.at(name), R"("recursive":true,"missing":true)");
  });
}

TEST_CASE("lost events are told as overflow, and the watch goes on") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    REQUIRE(mkdir(tree.at("d").c_str(), 0755) == 0);
    Watch watch(agent, tree.path());
    // The worker stands still while its host does not read: more than the kernel's queue and all buffers hold.
    size_t queue = std::stoul(run_command("cat /proc/sys/fs/inotify/max_queued_events"));
    tree.write("d/a", "");
    tree.write("d/b", "");
    // Two names in turn: the same event again would be merged with the one before.
    for (size_t i = 0; i < queue + 10000; i++) {
      if (chmod(tree.at(i % 2 == 0 ? "d/a" : "d/b").c_str(), 0644) != 0) FAIL("chmod");
    }
    watch.await("overflow");
    tree.write("d/after", "");
    watch.until("created d/after file");
  });
}

TEST_CASE("a file that the agent replaces is told as modified, and its drafts are not told") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("file", "old");
    Watch watch(agent, tree.path());
    file_with_input(agent, "write", tree.at("file"), "new");
    CHECK(watch.next() == "modified file");
    file_with_input(agent, "write", tree.at("made"), "new");
    CHECK(watch.next() == "created made file");
    tree.write("marker", "");
    CHECK(watch.next() == "created marker file");
  });
}

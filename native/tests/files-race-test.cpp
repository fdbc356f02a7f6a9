// Hostile paths: links that lead elsewhere, and directories that turn into links while they are worked on.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/files/tar-format.h"
#include "common/syscalls.h"
#include "tests/files.h"

using namespace plybox;
using namespace plybox::test;

namespace {

// A process that exchanges two names for as long as it lives.
class Flipper {
 public:
  Flipper(std::string one, std::string other) {
    pid_ = fork();
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    constexpr unsigned kExchange = 2;
    for (;;) syscall(SYS_renameat2, AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), kExchange);
  }
  ~Flipper() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

// A tree with "d/x", a directory, and "d/y", a symlink to the victim outside, which change places all the time.
struct Trap {
  Tree tree, victim;

  Trap() {
    victim.write("v1", "safe");
    victim.write("v2/v3", "safe");
    run_command("chmod 700 " + victim.path() + " " + victim.at("v2"));
    run_command("chmod 600 " + victim.at("v1"));
    set();
    before = state();
  }
  void set() const {
    for (const char* name : {"d/x/a", "d/x/b/c", "d/z"}) tree.write(name, "bait");
    if (!tree.has("d/y")) REQUIRE(symlink(victim.path().c_str(), tree.at("d/y").c_str()) == 0);
  }
  std::string state() const {
    return run_command("cd " + victim.path() + " && find . -printf '%p %m %U %G %s %T@ %C@\\n' | sort && cat v1 v2/v3");
  }
  std::string before;
};

}  // namespace

TEST_CASE("no magic link is followed, wherever it stands in the path") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("a", "x");
    REQUIRE(symlink("/proc/self/fd", tree.at("fds").c_str()) == 0);
    REQUIRE(symlink("/proc/self/root", tree.at("root").c_str()) == 0);
    std::string parent = "/proc/" + std::to_string(agent.pid());
    for (const std::string& path :
         {std::string("/proc/self/fd/0"), std::string("/proc/self/fd/3"), std::string("/proc/self/exe"),
          std::string("/proc/self/root/tmp"), std::string("/proc/self/cwd"), tree.at("fds/0"), tree.at("root/etc"),
          parent + "/fd/3", parent + "/root/etc", std::string("/dev/fd/0")}) {
      CAPTURE(path);
      CHECK(file(agent, "stat", path).last.text("code") == "too-many-links");
      CHECK(file(agent, "read", path).code() == "too-many-links");
      CHECK(file(agent, "list", path).code() == "too-many-links");
      CHECK(file_with_input(agent, "write", path, "x").code() == "too-many-links");
      CHECK(file_with_input(agent, "write", path, "x", R"("how":"append")").code() == "too-many-links");
      CHECK(file_with_input(agent, "tar-in", path, "").code() == "too-many-links");
    }
    // To look at one is no harm.
    CHECK(file(agent, "stat", "/proc/self/exe", R"("follow":false)").last.kind == Kind::kAck);
  });
}

TEST_CASE("removing, changing, listing and packing stay in a tree that is turned while they go on") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Trap trap;
    Flipper flipper(trap.tree.at("d/x"), trap.tree.at("d/y"));
    const std::string top = trap.tree.at("d");
    for (int round = 0; round < 60; round++) {
      file(agent, "chmod", top, R"("mode":511,"recursive":true)");
      file(agent, "chown", top, R"("owner":"1:1","recursive":true)");
      CHECK(file(agent, "list", top, R"("depth":9)").out.find("/v1\"") == std::string::npos);
      CHECK(file(agent, "search", top, R"("content":"safe")").last.number("matches") == 0);
      CHECK(file(agent, "tar-out", top).out.find("safe") == std::string::npos);
    }
    for (int round = 0; round < 60; round++) {
      file(agent, "remove", top, R"("recursive":true)");
      // The flipper takes what is there; whether both can be put back in time is not for this test.
      run_command("cd " + trap.tree.path() + " && mkdir -p d/new/b d && touch d/new/a d/new/b/c && " + "{ ln -sfnT " +
                  trap.victim.path() + " d/y; mv -T d/new d/x; } 2>/dev/null; true");
    }
    CHECK(trap.state() == trap.before);
  });
}

TEST_CASE("unpacking stays in a tree that is turned while it goes on") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Trap trap;
    std::string bytes;
    for (int i = 0; i < 200; i++) {
      TarEntry entry;
      entry.path = "x/" + std::to_string(i % 7) + "/f" + std::to_string(i);
      entry.mode = 0644;
      bytes += tar_header(entry);
      // Another directory in between, so that each is looked up anew.
      entry.path = "z" + std::to_string(i);
      bytes += tar_header(entry);
    }
    Flipper flipper(trap.tree.at("d/x"), trap.tree.at("d/y"));
    int whole = 0, refused = 0;
    for (int round = 0; round < 60; round++) {
      std::string code = file_with_input(agent, "tar-in", trap.tree.at("d"), bytes).code();
      CHECK((code.empty() || code == "bad-archive" || code == "not-empty" || code == "no-such-file"));
      code.empty() ? whole++ : refused++;
    }
    CHECK(trap.state() == trap.before);
    // The trap did spring.
    CHECK(refused > 0);
  });
}

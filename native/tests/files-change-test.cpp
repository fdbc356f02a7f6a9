// What files are, and changing that: directories, moves, links, modes, owners.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/files.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

TEST_CASE("stat tells every kind of file, follows or stays, and names the place") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("file", "12345");
    REQUIRE(mkdir(tree.at("directory").c_str(), 0700) == 0);
    REQUIRE(symlink("file", tree.at("symlink").c_str()) == 0);
    REQUIRE(mkfifo(tree.at("fifo").c_str(), 0600) == 0);
    REQUIRE(mknod(tree.at("socket").c_str(), S_IFSOCK | 0600, 0) == 0);
    REQUIRE(mknod(tree.at("character-device").c_str(), S_IFCHR | 0600, 0x103) == 0);
    REQUIRE(mknod(tree.at("block-device").c_str(), S_IFBLK | 0600, 0x700) == 0);
    for (const char* kind : {"file", "directory", "symlink", "fifo", "socket", "character-device", "block-device"}) {
      Message stat = file(agent, "stat", tree.at(kind), R"("follow":false)").last;
      CHECK(stat.payload.find("\"type\":\"" + std::string(kind) + "\"") != std::string::npos);
      CHECK(stat.text("path") == tree.at(kind));
    }
    CHECK(file(agent, "stat", tree.at("symlink")).last.text("path") == tree.at("file"));
    CHECK(file(agent, "stat", tree.path() + "/./directory/../symlink").last.text("path") == tree.at("file"));
    CHECK(file(agent, "stat", tree.at("symlink"), R"("follow":false)").last.payload.find(R"("target":"file")") !=
          std::string::npos);
    timespec times[2] = {{0, UTIME_OMIT}, {-3, 250000000}};
    REQUIRE(utimensat(AT_FDCWD, tree.at("file").c_str(), times, 0) == 0);
    CHECK(file(agent, "stat", tree.at("file")).last.payload.find(R"("mtimeNs":"-2750000000")") != std::string::npos);
    CHECK(file(agent, "stat", "/").last.text("path") == "/");
  });
}

TEST_CASE("directories are made and removed, things moved, links set") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    CHECK(file(agent, "mkdir", tree.at("a"), R"("mode":448)").last.boolean("created"));
    CHECK((status_of(tree.at("a")).st_mode & 07777) == 0700);
    CHECK(file(agent, "mkdir", tree.at("a")).last.text("code") == "file-exists");
    CHECK_FALSE(file(agent, "mkdir", tree.at("a"), R"("parents":true)").last.boolean("created"));
    CHECK(file(agent, "mkdir", tree.at("a/b/c//d/"), R"("parents":true)").last.boolean("created"));
    tree.write("file", "x");
    CHECK(file(agent, "mkdir", tree.at("file"), R"("parents":true)").last.text("code") == "file-exists");
    CHECK(file(agent, "mkdir", tree.at("file/b"), R"("parents":true)").last.text("code") == "not-a-directory");
    CHECK(file(agent, "mkdir", "/").last.text("code") == "file-exists");

    CHECK(file(agent, "move", tree.at("file"), R"("to":")" + tree.at("a/b/moved") + "\"").last.kind == Kind::kAck);
    CHECK(tree.read("a/b/moved") == "x");
    tree.write("file", "y");
    std::string taken = R"("to":")" + tree.at("a/b/moved") + "\"";
    CHECK(file(agent, "move", tree.at("file"), taken).last.text("code") == "file-exists");
    CHECK(file(agent, "move", tree.at("file"), taken + R"(,"overwrite":true)").last.kind == Kind::kAck);
    CHECK(tree.read("a/b/moved") == "y");
    CHECK(file(agent, "move", tree.at("a"), R"("to":")" + tree.at("a/b/inside") + "\"").last.text("field") == "to");
    CHECK(file(agent, "move", tree.at("a"), R"("parents":true,"to":")" + tree.at("n/e/w") + "\"").last.kind ==
          Kind::kAck);
    CHECK(tree.read("n/e/w/b/moved") == "y");

    CHECK(file(agent, "symlink", tree.at("link"), R"("target":"n/e")").last.kind == Kind::kAck);
    CHECK(file(agent, "symlink", tree.at("link"), R"("target":"w")").last.text("code") == "file-exists");
    CHECK(file(agent, "symlink", tree.at("link"), R"("target":"n","overwrite":true)").last.kind == Kind::kAck);
    char target[16] = {};
    CHECK(readlink(tree.at("link").c_str(), target, sizeof(target)) == 1);
    CHECK(target[0] == 'n');

    CHECK(file(agent, "remove", tree.at("n")).last.text("code") == "not-empty");
    CHECK(file(agent, "remove", tree.at("missing")).last.text("code") == "no-such-file");
    CHECK(file(agent, "remove", tree.at("missing/deep"), R"("missing":true)").last.number("removed") == 0);
    CHECK(file(agent, "remove", tree.at("link"), R"("recursive":true)").last.number("removed") == 1);
    CHECK(tree.has("n/e/w"));
    CHECK(file(agent, "remove", tree.at("n/"), R"("recursive":true)").last.number("removed") == 7);
    CHECK(tree.count() == 0);
    CHECK(file(agent, "remove", "/", R"("recursive":true)").last.text("code") == "bad-request");
    CHECK(file(agent, "remove", tree.path() + "/.", R"("recursive":true)").last.text("code") == "bad-request");
  });
}

TEST_CASE("a move to another file system is a copy and a removal") {
  struct stat here, there;
  REQUIRE(stat("/tmp", &here) == 0);
  if (stat("/dev/shm", &there) != 0 || here.st_dev == there.st_dev) return skipped("/dev/shm is not a file system");
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    std::string away = "/dev/shm/plybox-test-" + std::to_string(getpid());
    tree.write("d/sub/file", "content");
    REQUIRE(link(tree.at("d/sub/file").c_str(), tree.at("d/same").c_str()) == 0);
    REQUIRE(symlink("../nowhere", tree.at("d/link").c_str()) == 0);
    REQUIRE(chmod(tree.at("d/sub").c_str(), 0500) == 0);
    REQUIRE(chown(tree.at("d/sub/file").c_str(), 12, 34) == 0);
    std::string list = " && find . -printf '%p %y %m %U %G %n %T@ %l\n' | sort";
    std::string before = run_command("cd " + tree.at("d") + list);
    CHECK(file(agent, "move", tree.at("d"), R"("to":")" + away + "\"").last.kind == Kind::kAck);
    CHECK_FALSE(tree.has("d"));
    CHECK(run_command("cd " + away + list) == before);
    CHECK(file(agent, "move", away, R"("to":")" + tree.at("back") + "\"").last.kind == Kind::kAck);
    CHECK(run_command("cd " + tree.at("back") + list) == before);
    tree.write("taken", "");
    tree.write("plain", "1");
    CHECK(file(agent, "move", tree.at("plain"), R"("to":")" + away + "\"").last.kind == Kind::kAck);
    CHECK(file(agent, "move", away, R"("to":")" + tree.at("taken") + "\"").last.text("code") == "file-exists");
    CHECK(file(agent, "move", away, R"("overwrite":true,"to":")" + tree.at("taken") + "\"").last.kind == Kind::kAck);
    CHECK(tree.read("taken") == "1");
    CHECK(access(away.c_str(), F_OK) != 0);
    CHECK(tree.count() == 2);
  });
}

TEST_CASE("modes and owners change, through a whole tree and through no symlink") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("outside", "");
    tree.write("d/sub/file", "");
    REQUIRE(symlink("../outside", tree.at("d/link").c_str()) == 0);
    REQUIRE(symlink("..", tree.at("d/up").c_str()) == 0);
    CHECK(file(agent, "chmod", tree.at("d"), R"("mode":448,"recursive":true)").last.number("changed") == 5);
    CHECK((status_of(tree.at("d/sub/file")).st_mode & 07777) == 0700);
    CHECK((status_of(tree.at("outside")).st_mode & 07777) == 0644);
    CHECK(file(agent, "chmod", tree.at("d/link"), R"("mode":384)").last.number("changed") == 1);
    CHECK((status_of(tree.at("outside")).st_mode & 07777) == 0600);

    CHECK(file(agent, "chown", tree.at("d"), R"("owner":"7:8","recursive":true)").last.number("changed") == 5);
    CHECK(status_of(tree.at("d/sub/file")).st_uid == 7);
    CHECK(status_of(tree.at("d/link")).st_gid == 8);
    CHECK(status_of(tree.at("outside")).st_uid == 0);
    CHECK(file(agent, "chown", tree.at("d/link"), R"("owner":"9","follow":false)").last.number("changed") == 1);
    CHECK(status_of(tree.at("d/link")).st_uid == 9);
    // A user alone leaves the group.
    CHECK(status_of(tree.at("d/link")).st_gid == 8);
    CHECK(file(agent, "chown", tree.at("d/link"), R"("owner":"10")").last.number("changed") == 1);
    CHECK(status_of(tree.at("outside")).st_uid == 10);
    CHECK(file(agent, "chown", tree.at("d"), R"("owner":"no-such-user")").last.text("code") == "bad-user");
  });
}

TEST_CASE("it is the user's rights that count") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("secret", "hidden");
    REQUIRE(chmod(tree.at("secret").c_str(), 0600) == 0);
    tree.write("public", "seen");
    tree.write("shut/file", "");
    REQUIRE(chmod(tree.at("shut").c_str(), 0700) == 0);
    const std::string user = R"("user":"4321:8765")";
    CHECK(file(agent, "read", tree.at("public"), user).out == "seen");
    CHECK(file(agent, "read", tree.at("secret"), user).code() == "permission-denied");
    CHECK(file(agent, "stat", tree.at("shut/file"), user).last.text("code") == "permission-denied");
    CHECK(file(agent, "list", tree.at("shut"), user).code() == "permission-denied");
    CHECK(file(agent, "mkdir", tree.at("d"), user).last.text("code") == "permission-denied");
    CHECK(file(agent, "remove", tree.at("shut"), user + R"(,"recursive":true)").last.text("code") ==
          "permission-denied");
    CHECK(file(agent, "chmod", tree.at("public"), user + R"(,"mode":511)").last.text("code") == "permission-denied");
    CHECK(file_with_input(agent, "write", tree.at("public"), "x", user).code() == "permission-denied");
    CHECK(file_with_input(agent, "write", tree.at("public"), "x", user + R"(,"how":"append")").code() ==
          "permission-denied");
    // A directory that everybody may write to does not make its files everybody's.
    REQUIRE(chmod(tree.path().c_str(), 0777) == 0);
    CHECK(file_with_input(agent, "write", tree.at("public"), "x", user).code() == "permission-denied");
    CHECK(tree.read("public") == "seen");
    CHECK(file_with_input(agent, "write", tree.at("own"), "x", user).last.kind == Kind::kExit);
    CHECK(status_of(tree.at("own")).st_uid == 4321);
    CHECK(status_of(tree.at("own")).st_gid == 8765);
    CHECK(file(agent, "stat", tree.path(), R"("user":"no-such-user")").last.text("code") == "bad-user");
  });
}

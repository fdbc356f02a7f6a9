// Archives, against Debian's tar in both directions, and hostile ones.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/files/tar-format.h"
#include "agent/processes.h"
#include "tests/files.h"
#include "tests/waits.h"

using namespace plybox;
using namespace plybox::test;

namespace {

// Everything that an archive keeps, but for the sizes of directories.
std::string fingerprint(const std::string& directory) {
  return run_command("cd '" + directory +
                     "' && find . -mindepth 1 '(' -type d -printf '%P %y %m %U %G %T@\\n' ')' -o -printf "
                     "'%P %y %m %U %G %s %T@ %l %n\\n' | LC_ALL=C sort && find . -type f -exec cksum {} + | sort");
}

void fill(const Tree& tree) {
  tree.write("src/plain", "content\n");
  tree.write("src/empty", "");
  tree.write("src/" + std::string(200, 'n'), "a long name");
  tree.write("src/" + std::string(150, 'p') + "/" + std::string(150, 'q') + "/deep", "a long path");
  tree.write("src/new\nline \xff", "no UTF-8");
  tree.write("src/\xc3\xa4", "UTF-8");
  tree.write("src/sub/block", std::string(512, 'b'));
  tree.write("src/sub/large", std::string(700001, 'l'));
  REQUIRE(link(tree.at("src/plain").c_str(), tree.at("src/sub/hard").c_str()) == 0);
  REQUIRE(symlink("../plain", tree.at("src/sub/soft").c_str()) == 0);
  REQUIRE(symlink(std::string(300, 't').c_str(), tree.at("src/far").c_str()) == 0);
  REQUIRE(mkfifo(tree.at("src/fifo").c_str(), 0640) == 0);
  REQUIRE(mknod(tree.at("src/device").c_str(), S_IFCHR | 0600, 0x103) == 0);
  REQUIRE(chown(tree.at("src/empty").c_str(), 12345, 3000000) == 0);
  REQUIRE(chmod(tree.at("src/empty").c_str(), 06711) == 0);
  REQUIRE(chmod(tree.at("src/sub").c_str(), 01555) == 0);
  timespec times[2] = {{0, UTIME_OMIT}, {1000000000, 123456789}};
  REQUIRE(utimensat(AT_FDCWD, tree.at("src/plain").c_str(), times, 0) == 0);
  times[1] = {-5, 500000000};
  REQUIRE(utimensat(AT_FDCWD, tree.at("src/empty").c_str(), times, 0) == 0);
  REQUIRE(utimensat(AT_FDCWD, tree.at("src/sub").c_str(), times, 0) == 0);
}

std::string archive(std::vector<TarEntry> entries, const std::string& content = "") {
  std::string bytes;
  for (TarEntry& entry : entries) {
    if (entry.mode == 0) entry.mode = 0755;
    if (entry.type == S_IFREG && !entry.hard_link) entry.size = content.size();
    bytes += tar_header(entry);
    if (entry.size > 0) bytes += content + std::string(tar_padding(content.size()), '\0');
  }
  return bytes + std::string(2 * kTarBlock, '\0');
}

TarEntry named(const std::string& path, mode_t type = S_IFREG, const std::string& link = "") {
  TarEntry entry;
  entry.path = path;
  entry.type = type;
  entry.link = link;
  return entry;
}

TarEntry hard_link(const std::string& path, const std::string& to) {
  TarEntry entry = named(path, S_IFREG, to);
  entry.hard_link = true;
  return entry;
}

}  // namespace

TEST_CASE("what tar-out packs tar unpacks as it was, and tar-in too") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    fill(tree);
    REQUIRE(mknod(tree.at("src/socket").c_str(), S_IFSOCK | 0600, 0) == 0);
    bool attributes = setxattr(tree.at("src/plain").c_str(), "user.kind", "\0x", 2, 0) == 0;
    const std::string top = run_command("stat -c '%a %Y' " + tree.at("src"));
    Outcome packed = file(agent, "tar-out", tree.at("src"));
    REQUIRE(packed.last.kind == Kind::kExit);
    CHECK(packed.last.number("entries") == 17);
    CHECK(packed.out.size() % 10240 == 0);
    REQUIRE(unlink(tree.at("src/socket").c_str()) == 0);
    tree.write("a.tar", packed.out);
    run_command("cd " + tree.path() + " && mkdir by-tar && tar -xpf a.tar --xattrs -C by-tar 2>/dev/null");
    CHECK(fingerprint(tree.at("by-tar")) == fingerprint(tree.at("src")));
    CHECK(file_with_input(agent, "tar-in", tree.at("by-us"), packed.out).last.number("entries") == 17);
    CHECK(fingerprint(tree.at("by-us")) == fingerprint(tree.at("src")));
    CHECK(run_command("stat -c '%a %Y' " + tree.at("by-us")) == top);
    if (!attributes) return skipped("this file system has no user attributes");
    for (const char* copy : {"by-tar/plain", "by-us/plain"}) {
      char value[8];
      CHECK(getxattr(tree.at(copy).c_str(), "user.kind", value, sizeof(value)) == 2);
    }
  });
}

TEST_CASE("what tar packs in its formats tar-in unpacks as tar does") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    for (const char* format : {"gnu", "pax", "ustar", "v7", "oldgnu"}) {
      CAPTURE(format);
      Tree tree;
      fill(tree);
      std::string pack = std::string("cd ") + tree.path() + " && tar -C src --format=" + format;
      // The older formats cannot say all of it; what they cannot, tar leaves out.
      run_command(pack + " -cf a.tar . 2>/dev/null; mkdir by-tar && tar -xpf a.tar -C by-tar 2>/dev/null");
      Outcome unpacked = file_with_input(agent, "tar-in", tree.at("by-us"), tree.read("a.tar"));
      CHECK(unpacked.last.kind == Kind::kExit);
      CHECK(fingerprint(tree.at("by-us")) == fingerprint(tree.at("by-tar")));
    }
  });
}

TEST_CASE("globs leave out, a file is packed by its name, an empty directory alone") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    for (const char* name : {"a.o", "a.c", "sub/b.o", "sub/keep", "node_modules/x"}) tree.write(name, "");
    Outcome packed = file(agent, "tar-out", tree.path(), R"("exclude":["*.o","node_modules"])");
    CHECK(packed.last.number("entries") == 4);
    Tree other;
    other.write("a.tar", packed.out);
    CHECK(run_command("tar -tf " + other.at("a.tar") + " | sort | tr '\\n' ' '") == "./ ./a.c ./sub/ ./sub/keep ");
    other.write("b.tar", file(agent, "tar-out", tree.at("sub/keep")).out);
    CHECK(run_command("tar -tf " + other.at("b.tar")) == "./keep\n");
    CHECK(file(agent, "tar-out", tree.at("missing")).code() == "no-such-file");
  });
}

TEST_CASE("what is in the way of an entry is replaced, but for a directory that is not empty") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    tree.write("outside", "safe");
    tree.write("d/file", "old and longer");
    REQUIRE(symlink("../outside", tree.at("d/link").c_str()) == 0);
    REQUIRE(mkdir(tree.at("d/empty").c_str(), 0755) == 0);
    REQUIRE(mkfifo(tree.at("d/fifo").c_str(), 0600) == 0);
    REQUIRE(symlink("..", tree.at("d/directory").c_str()) == 0);
    std::string bytes = archive({named("file"), named("link"), named("empty"), named("fifo"),
                                 named("directory", S_IFDIR), named("directory/x")},
                                "new");
    CHECK(file_with_input(agent, "tar-in", tree.at("d"), bytes).last.number("entries") == 6);
    for (const char* name : {"d/file", "d/link", "d/empty", "d/fifo", "d/directory/x"}) CHECK(tree.read(name) == "new");
    CHECK(tree.read("outside") == "safe");
    CHECK_FALSE(tree.has("x"));
    tree.write("d/full/x", "");
    CHECK(file_with_input(agent, "tar-in", tree.at("d"), archive({named("full")}, "new")).code() == "not-empty");
  });
}

TEST_CASE("no archive leads out of the tree") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    struct Row {
      std::vector<TarEntry> entries;
      const char* code;  // "": it is unpacked, inside
    };
    for (const Row& row : {
             Row{{named("../escaped")}, "bad-archive"},
             Row{{named("a/../../escaped")}, "bad-archive"},
             Row{{named("/../escaped")}, "bad-archive"},
             Row{{named("..", S_IFDIR)}, "bad-archive"},
             Row{{named("up", S_IFLNK, ".."), named("up/escaped")}, "bad-archive"},
             Row{{named("up", S_IFLNK, ".."), named("up/escaped", S_IFDIR)}, "bad-archive"},
             Row{{named("up", S_IFLNK, ".."), named("up/escaped", S_IFLNK, "x")}, "bad-archive"},
             Row{{named("up", S_IFLNK, ".."), hard_link("grabbed", "up/outside")}, "bad-archive"},
             Row{{hard_link("grabbed", "../outside")}, "bad-archive"},
             Row{{hard_link("grabbed", "")}, "bad-archive"},
             Row{{named("d", S_IFDIR), named("d/up", S_IFLNK, "../.."), named("d/up/escaped")}, "bad-archive"},
             Row{{named("standing/escaped")}, "bad-archive"},  // a symlink that is there already
             Row{{named("file"), named("file/below")}, "bad-archive"},
             Row{{named("")}, "bad-archive"},
             Row{{named("/absolute"), hard_link("/again", "/absolute")}, ""},
             // A link to a link is one to the link itself.
             Row{{named("up", S_IFLNK, "../outside"), hard_link("same", "up"), named("same")}, ""},
             Row{{hard_link("none", "no-such-file")}, "no-such-file"},
         }) {
      CAPTURE(row.entries.back().path);
      Tree tree;
      tree.write("outside", "safe");
      REQUIRE(mkdir(tree.at("d").c_str(), 0755) == 0);
      REQUIRE(symlink("..", tree.at("d/standing").c_str()) == 0);
      Outcome outcome = file_with_input(agent, "tar-in", tree.at("d"), archive(row.entries, "evil"));
      CHECK(outcome.code() == row.code);
      CHECK(tree.read("outside") == "safe");
      CHECK(tree.count() == 2);
      CHECK_FALSE(tree.has("escaped"));
      CHECK(access("/absolute", F_OK) != 0);
    }
  });
}

TEST_CASE("an archive that is damaged or cut off is refused, and no half file stays") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    std::string good = archive({named("a"), named("b")}, std::string(1000, 'x'));
    auto unpack = [&](std::string_view bytes) { return file_with_input(agent, "tar-in", tree.at("d"), bytes).code(); };
    CHECK(unpack(good) == "");
    // Without the two empty blocks it is whole as well, as for tar.
    CHECK(unpack(std::string_view(good).substr(0, good.size() - 1024)) == "");
    CHECK(unpack("") == "");
    run_command("rm -r " + tree.at("d"));
    CHECK(unpack(std::string_view(good).substr(0, 512 + 600)) == "bad-archive");
    CHECK_FALSE(tree.has("d/a"));
    CHECK(unpack(std::string_view(good).substr(0, 100)) == "bad-archive");
    std::string wrong = good;
    wrong[3] ^= 1;
    CHECK(unpack(wrong) == "bad-archive");
    CHECK(unpack(std::string(1024, 'x')) == "bad-archive");
    CHECK(unpack(run_command("cd " + tree.path() + " && truncate -s 1M hole && tar -cSf - hole")) == "bad-archive");
    {
      Host host = agent.connect();
      host.open(1, file_request("tar-in", tree.at("d")));
      REQUIRE(host.next().kind == Kind::kAck);
      host.input(1, 0, std::string_view(good).substr(0, 512 + 600));
      eventually([&] { return tree.has("d/a"); });
    }
    eventually([&] { return descendants(list_processes(), agent.pid()).empty(); });
    CHECK_FALSE(tree.has("d/a"));
  });
}

TEST_CASE("who is not root unpacks as itself, and devices are refused") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    REQUIRE(chmod(tree.path().c_str(), 0777) == 0);
    TarEntry entry = named("file");
    entry.uid = entry.gid = 0;
    entry.mode = 04755;
    TarEntry device = named("null", S_IFCHR);
    device.major = 1;
    device.minor = 3;
    const std::string user = R"("user":"4321:8765")";
    CHECK(file_with_input(agent, "tar-in", tree.at("d"), archive({entry}, "x"), user).last.number("entries") == 1);
    CHECK(run_command("stat -c '%u %g %a' " + tree.at("d/file")) == "4321 8765 4755\n");
    CHECK(file_with_input(agent, "tar-in", tree.at("d"), archive({device}), user).code() == "permission-denied");
    entry.uid = 77;
    file_with_input(agent, "tar-in", tree.at("e"), archive({entry}, "x"), R"("owner":"user")");
    CHECK(run_command("stat -c '%u %g %a' " + tree.at("e/file")) == "0 0 755\n");
    file_with_input(agent, "tar-in", tree.at("f"), archive({entry}, "x"));
    CHECK(run_command("stat -c '%u %g %a' " + tree.at("f/file")) == "77 0 4755\n");
    CHECK(file_with_input(agent, "tar-in", tree.at("g/h"), archive({entry}, "x"), R"("parents":false)").code() ==
          "no-such-file");
  });
}

TEST_CASE("10,000 small files are packed and unpacked as they were") {
  for_each_agent([](const std::string& program) {
    AgentProcess agent(program);
    Tree tree;
    for (int i = 0; i < 10000; i++) {
      tree.write("src/" + std::to_string(i % 100) + "/" + std::to_string(i),
                 std::string(static_cast<size_t>(i % 700), 'x'));
    }
    Outcome packed = file(agent, "tar-out", tree.at("src"));
    CHECK(packed.last.number("entries") == 10101);
    CHECK(file_with_input(agent, "tar-in", tree.at("copy"), packed.out).last.number("entries") == 10101);
    CHECK(fingerprint(tree.at("copy")) == fingerprint(tree.at("src")));
  });
}

TEST_CASE("a size above 8 GiB and other numbers beyond ustar stand in the header") {
  TarEntry entry = named("big");
  entry.size = 9ull << 30;
  entry.uid = 4000000000;
  entry.modified = {-1, 250000000};
  std::string header = tar_header(entry);
  CHECK(header.size() == 3 * kTarBlock);
  CHECK(header.find("19 size=9663676416\n") != header.npos);
  CHECK(header.find("18 uid=4000000000\n") != header.npos);
  CHECK(header.find("mtime=-0.750000000\n") != header.npos);
}

#include "tree/server.h"

#include <doctest/doctest.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "common/unique-fd.h"

using namespace plybox;
using namespace plybox::tree;

namespace {

// A directory for one test, with a tree in it and a file beside that.
struct Ground {
  char path[32] = "/tmp/plybox-tree-XXXXXX";
  Ground() {
    REQUIRE(mkdtemp(path) != nullptr);
    for (const char* name : {"/tree", "/tree/dir", "/other"}) REQUIRE(mkdir(at(name).c_str(), 0755) == 0);
    put("/secret", "secret");
    put("/tree/dir/file", "content");
    REQUIRE(symlink("/", at("/tree/out").c_str()) == 0);
    REQUIRE(symlink("..", at("/tree/dir/up").c_str()) == 0);
  }
  ~Ground() { std::filesystem::remove_all(path); }

  std::string at(const std::string& name) const { return path + name; }
  void put(const std::string& name, std::string_view bytes) const {
    UniqueFd fd(open(at(name).c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644));
    REQUIRE(write(fd.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
};

struct Request {
  std::string bytes;
  explicit Request(Operation operation) { append_number(bytes, operation); }
  Request& number(uint32_t value) {
    append_number(bytes, value);
    return *this;
  }
  Request& offset(uint64_t value) {
    append_number(bytes, value);
    return *this;
  }
  Request& text(std::string_view value) {
    append_text(bytes, value);
    return *this;
  }
};

// The fields of a whole answer, behind its length; `error` 0 where it is none.
struct Answer {
  bool readable;
  uint32_t error = 0;
  std::string fields;
};

Answer ask(Server& server, const Request& request) {
  std::string out;
  if (!server.answer(request.bytes, out)) return {false, 0, ""};
  Fields fields(out);
  CHECK(fields.number<uint32_t>() == out.size() - 4);
  if (fields.number<uint8_t>() == 0) return {true, 0, out.substr(5)};
  return {true, fields.number<uint32_t>(), fields.text()};
}

uint32_t open_tree(Server& server, const std::string& path) {
  Answer answer = ask(server, Request(Operation::kOpen).text(path));
  REQUIRE(answer.error == 0);
  return Fields(answer.fields).number<uint32_t>();
}

std::string read_all(Server& server, uint32_t root, std::string_view path) {
  Answer answer = ask(server, Request(Operation::kRead).number(root).text(path).offset(0));
  return answer.error == 0 && answer.fields.size() > 16 ? answer.fields.substr(16) : "";
}

}  // namespace

TEST_CASE("plytree reads below a root, and neither through a symlink nor by .. out of it") {
  Ground ground;
  Server server(Marks::kTrusted);
  uint32_t root = open_tree(server, ground.at("/tree"));
  CHECK(read_all(server, root, "dir/file") == "content");
  for (const std::string& path : std::vector<std::string>{"out/etc/passwd", "dir/up/dir/file", "../secret",
                                                          "dir/../../secret", "/etc/passwd", "out"}) {
    CAPTURE(path);
    Answer answer = ask(server, Request(Operation::kRead).number(root).text(path).offset(0));
    CHECK(answer.readable);
    CHECK(answer.error != 0);
  }
  CHECK(ask(server, Request(Operation::kEntry).number(root + 1).text("dir")).error == EBADF);
  CHECK(ask(server, Request(Operation::kEntry).number(root).text("none")).error == ENOENT);
}

TEST_CASE("plytree changes nothing that a symlink leads to") {
  Ground ground;
  Server server(Marks::kTrusted);
  uint32_t root = open_tree(server, ground.at("/tree"));
  uint32_t other = open_tree(server, ground.at("/other"));
  REQUIRE(symlink(ground.at("/secret").c_str(), ground.at("/tree/link").c_str()) == 0);
  CHECK(ask(server, Request(Operation::kRemove).number(root).text("link")).error == 0);
  CHECK(access(ground.at("/secret").c_str(), F_OK) == 0);
  // A copy of a link is a link.
  CHECK(ask(server, Request(Operation::kCopy).number(root).text("out").number(other).text("out")).error == 0);
  struct stat status;
  REQUIRE(lstat(ground.at("/other/out").c_str(), &status) == 0);
  CHECK(S_ISLNK(status.st_mode));
  CHECK(ask(server, Request(Operation::kCopy).number(root).text("dir/file").number(other).text("out/file")).error != 0);
  CHECK(ask(server, Request(Operation::kLink).number(root).text("dir/file").text("dir/up/second")).error != 0);
}

TEST_CASE("plytree copies files with their holes, modes and attributes, over nothing that is there") {
  Ground ground;
  Server server(Marks::kTrusted);
  uint32_t root = open_tree(server, ground.at("/tree"));
  uint32_t other = open_tree(server, ground.at("/other"));
  constexpr off_t kFar = off_t{1} << 40;
  UniqueFd sparse(open(ground.at("/tree/sparse").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0640));
  REQUIRE(pwrite(sparse.get(), "end", 3, kFar) == 3);
  REQUIRE(fsetxattr(sparse.get(), "user.note", "kept", 4, 0) == 0);
  CHECK(ask(server, Request(Operation::kCopy).number(root).text("sparse").number(other).text("sparse")).error == 0);
  struct stat status;
  REQUIRE(stat(ground.at("/other/sparse").c_str(), &status) == 0);
  CHECK(status.st_size == kFar + 3);
  CHECK(status.st_blocks < 2048);
  CHECK((status.st_mode & 07777) == 0640);
  char note[8];
  CHECK(getxattr(ground.at("/other/sparse").c_str(), "user.note", note, sizeof(note)) == 4);
  Answer answer = ask(server, Request(Operation::kRead).number(other).text("sparse").offset(4096));
  Fields fields(answer.fields);
  CHECK(fields.number<uint64_t>() == kFar + 3);
  CHECK(fields.number<uint64_t>() == kFar);
  CHECK(ask(server, Request(Operation::kCopy).number(root).text("sparse").number(other).text("sparse")).error ==
        EEXIST);
}

TEST_CASE("plytree lists a large directory in pieces, each name once and in the order of their bytes") {
  Ground ground;
  Server server(Marks::kTrusted);
  uint32_t root = open_tree(server, ground.at("/tree"));
  constexpr size_t kNames = 5000;
  for (size_t i = 0; i < kNames; i++) ground.put("/tree/dir/n" + std::to_string(i), "");
  Answer answer = ask(server, Request(Operation::kList).number(root).text("dir"));
  std::vector<std::string> names;
  size_t pieces = 1;
  for (;;) {
    Fields fields(answer.fields);
    auto listing = fields.number<uint32_t>();
    while (!fields.done()) {
      for (int i = 0; i < 5; i++) (void)fields.number<uint64_t>();
      for (int i = 0; i < 8; i++) (void)fields.number<uint32_t>();
      names.push_back(fields.text());
      (void)fields.text();
      for (auto left = fields.number<uint32_t>(); left > 0 && fields.ok(); left--) {
        (void)fields.text();
        (void)fields.text();
      }
      REQUIRE(fields.ok());
    }
    if (listing == 0) break;
    answer = ask(server, Request(Operation::kMore).number(listing));
    REQUIRE(answer.error == 0);
    pieces++;
  }
  CHECK(pieces > 1);
  CHECK(names.size() == kNames + 2);
  for (size_t i = 1; i < names.size(); i++) CHECK(names[i - 1] < names[i]);
}

TEST_CASE("plytree answers no request that is cut short, goes on behind its end, or is of no kind that there is") {
  Ground ground;
  Server server(Marks::kUser);
  uint32_t root = open_tree(server, ground.at("/tree"));
  const Request whole[] = {
      Request(Operation::kOpen).text(ground.at("/tree")),
      Request(Operation::kOverlay).text("").text("").number(1).text(ground.at("/tree")),
      Request(Operation::kEntry).number(root).text("dir"),
      Request(Operation::kList).number(root).text("dir"),
      Request(Operation::kMore).number(1),
      Request(Operation::kDrop).number(1),
      Request(Operation::kRead).number(root).text("dir/file").offset(0),
      Request(Operation::kCopy).number(root).text("dir").number(root).text("copy"),
      Request(Operation::kStamp).number(root).text("dir").number(root).text("dir"),
      Request(Operation::kLink).number(root).text("dir/file").text("second"),
      Request(Operation::kRemove).number(root).text("second"),
      Request(Operation::kWhiteout).number(root).text("hidden"),
      Request(Operation::kOpaque).number(root).text("dir").number(1),
      Request(Operation::kSync).number(root),
      Request(Operation::kSurvey).number(root).number(65536),
      Request(Operation::kShared).number(root).text("dir/file").number(root).text("dir/file"),
  };
  for (const Request& request : whole) {
    CAPTURE(static_cast<int>(request.bytes[0]));
    for (size_t length = 0; length < request.bytes.size(); length++) {
      Request cut = request;
      cut.bytes.resize(length);
      CHECK_FALSE(ask(server, cut).readable);
    }
    Request longer = request;
    CHECK_FALSE(ask(server, longer.number(0)).readable);
  }
  for (int kind : {0, 17, 255}) {
    Request unknown(static_cast<Operation>(kind));
    CHECK_FALSE(ask(server, unknown.number(root).text("dir")).readable);
  }
  Request endless(Operation::kEntry);
  endless.number(root).number(UINT32_MAX);
  CHECK_FALSE(ask(server, endless).readable);
  // Nothing of all that has been done.
  for (const char* name : {"/tree/copy", "/tree/second", "/tree/hidden"})
    CHECK(access(ground.at(name).c_str(), F_OK) != 0);
}

#include "launcher/plan.h"

#include <doctest/doctest.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>

#include <string>

#include "tests/files.h"

using namespace plybox;

namespace {

const std::string kPlan = R"({
  "version": 1,
  "id": "sb_01k6zq3v9nabcdefghjkmnpqrs",
  "incarnation": 3,
  "hostname": "web-1",
  "root": {
    "layers": [{"path": "/run/layers/a", "idmap": true}, {"path": "/run/layers/b", "idmap": false}],
    "upper": {"kind": "tmpfs", "path": "/run/uppers/sb", "bytes": 1073741824, "inodes": 262144}
  },
  "binds": [{"source": "/usr", "target": "/opt/usr", "readOnly": true, "owner": "root", "hide": ["/src/a"]}],
  "ids": {"base": 1879048192, "count": 65536},
  "namespaces": ["mount", "pid", "network", "user"],
  "cgroups": [{"path": "/sys/fs/cgroup/sb", "version": 2, "set": [["pids.max", "100"]], "roles": ["track"]}],
  "resources": {"openFiles": 1024, "fileBytes": 4096},
  "capabilities": ["CAP_CHOWN", "CAP_SETFCAP"],
  "noNewPrivileges": true,
  "landlock": "all",
  "shmBytes": 65536,
  "seccomp": {},
  "files": [{"path": "/etc/hosts", "content": "127.0.0.1 localhost\n"}],
  "environment": {"A": "b=c", "EMPTY": ""},
  "agent": {"socket": "/run/sb.sock"},
  "dieWithLauncher": true
})";

// kPlan with the first `old_text` made into `new_text`; a text that is not there fails the test.
std::string plan_with(std::string_view old_text, std::string_view new_text) {
  std::string plan = kPlan;
  size_t at = plan.find(old_text);
  REQUIRE(at != plan.npos);
  return plan.replace(at, old_text.size(), new_text);
}

// The field that is refused, or "".
std::string refused(const std::string& text, bool allow_faults = false) {
  JsonDocument document;
  read_plan(document.parse(text), allow_faults);
  CHECK(document.problem().found() == !document.problem().field.empty());
  return document.problem().field;
}

// `plan` with files of filters; of commands where one is given.
std::string with_filters(std::string plan, const std::string& sandbox, const std::string& commands = "") {
  const std::string none = R"("seccomp": {})";
  std::string named = R"("seccomp": {"sandbox": ")" + sandbox + "\"";
  if (!commands.empty()) named += R"(, "commands": ")" + commands + "\"";
  return plan.replace(plan.find(none), none.size(), named + "}");
}
std::string filters(const std::string& sandbox, const std::string& commands = "") {
  return with_filters(kPlan, sandbox, commands);
}

}  // namespace

TEST_CASE("a normal path is absolute and names each directory once, in one way") {
  for (const char* path : {"/", "/a", "/a/b", "/...", "/..a", "/a..", "/.a/b.", "/a b", "/\xff"}) {
    CAPTURE(path);
    CHECK(is_normal_path(path));
  }
  for (const char* path : {"", "a", "a/b", "./a", "../a", "//", "//a", "/a/", "/a//b", "/.", "/..", "/a/.", "/a/..",
                           "/./a", "/../a", "/a/../b", "/a/./b"}) {
    CAPTURE(path);
    CHECK_FALSE(is_normal_path(path));
  }
  CHECK(is_normal_path("/" + std::string(3999, 'a')));
  CHECK_FALSE(is_normal_path("/" + std::string(4000, 'a')));
}

TEST_CASE("a plan says what its fields say") {
  JsonDocument document;
  LaunchPlan plan = read_plan(document.parse(kPlan), false);
  REQUIRE_FALSE(document.problem().found());
  CHECK(plan.id == "sb_01k6zq3v9nabcdefghjkmnpqrs");
  CHECK(plan.incarnation == 3);
  CHECK(plan.hostname == "web-1");
  REQUIRE(plan.layers.size() == 2);
  CHECK(plan.layers[0].path == "/run/layers/a");
  CHECK(plan.layers[0].idmap);
  CHECK(plan.layers[1].path == "/run/layers/b");
  CHECK_FALSE(plan.layers[1].idmap);
  CHECK(plan.upper.kind == UpperPlan::Kind::kTmpfs);
  CHECK(plan.upper.path == "/run/uppers/sb");
  CHECK(plan.upper.bytes == 1073741824);
  CHECK(plan.upper.inodes == 262144);
  REQUIRE(plan.binds.size() == 1);
  CHECK(plan.binds[0].source == "/usr");
  CHECK(plan.binds[0].target == "/opt/usr");
  CHECK(plan.binds[0].read_only);
  CHECK(plan.binds[0].owner == BindPlan::Owner::kRoot);
  CHECK(plan.binds[0].hide == std::vector<std::string>{"src/a"});
  CHECK(plan.id_base == 1879048192);
  CHECK(plan.id_count == 65536);
  CHECK(plan.namespaces == uint64_t{CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUSER});
  REQUIRE(plan.cgroups.size() == 1);
  CHECK(plan.cgroups[0].path == "/sys/fs/cgroup/sb");
  CHECK(plan.cgroups[0].version == 2);
  REQUIRE(plan.cgroups[0].set.size() == 1);
  CHECK(plan.cgroups[0].set[0].first == "pids.max");
  CHECK(plan.cgroups[0].set[0].second == "100");
  CHECK(plan.cgroups[0].track);
  CHECK_FALSE(plan.cgroups[0].memory);
  CHECK(plan.open_files == 1024);
  CHECK(plan.file_bytes == 4096);
  CHECK(plan.capabilities == (uint64_t{1} << CAP_CHOWN | uint64_t{1} << CAP_SETFCAP));
  CHECK(plan.no_new_privileges);
  CHECK(plan.landlock == LandlockPlan::kAll);
  CHECK(plan.shm_bytes == 65536);
  REQUIRE(plan.files.size() == 1);
  CHECK(plan.files[0].path == "/etc/hosts");
  CHECK(plan.files[0].content == "127.0.0.1 localhost\n");
  CHECK(plan.environment == std::vector<std::string>{"A=b=c", "EMPTY="});
  CHECK(plan.agent_socket == "/run/sb.sock");
  CHECK(plan.die_with_launcher);
  CHECK(plan.fail_at == "");
}

TEST_CASE("an upper on disk has a path and no size") {
  constexpr const char* kTmpfs = R"("tmpfs", "path": "/run/uppers/sb", "bytes": 1073741824, "inodes": 262144)";
  JsonDocument document;
  std::string text = plan_with(kTmpfs, R"("disk", "path": "/var/uppers/sb")");
  LaunchPlan plan = read_plan(document.parse(text), false);
  CHECK_FALSE(document.problem().found());
  CHECK(plan.upper.kind == UpperPlan::Kind::kDisk);
  CHECK(plan.upper.path == "/var/uppers/sb");
  CHECK(refused(plan_with(R"("tmpfs")", R"("disk")")) == "root.upper.bytes");
}

TEST_CASE("an upper on disk may have a quota, with the files that tell of it") {
  constexpr const char* kTmpfs = R"("tmpfs", "path": "/run/uppers/sb", "bytes": 1073741824, "inodes": 262144)";
  auto with_quota = [](const std::string& quota) {
    return plan_with(kTmpfs, (R"("disk", "path": "/var/sb", "quota": )" + quota).c_str());
  };
  JsonDocument document;
  std::string text = with_quota(R"({"bytes": 4096, "referenced": "/sys/a", "reserved": "/sys/b"})");
  LaunchPlan plan = read_plan(document.parse(text), false);
  CHECK_FALSE(document.problem().found());
  REQUIRE(plan.upper.quota);
  CHECK(plan.upper.quota->bytes == 4096);
  CHECK(plan.upper.quota->referenced == "/sys/a");
  CHECK(plan.upper.quota->reserved == "/sys/b");
  CHECK(refused(with_quota(R"({"bytes": 0, "referenced": "/sys/a", "reserved": "/sys/b"})")) ==
        "root.upper.quota.bytes");
  CHECK(refused(with_quota(R"({"bytes": 1, "referenced": "a", "reserved": "/sys/b"})")) ==
        "root.upper.quota.referenced");
  CHECK(refused(with_quota(R"({"bytes": 1, "referenced": "/sys/a"})")) == "root.upper.quota.reserved");
  CHECK(refused(with_quota(R"({"bytes": 1, "referenced": "/sys/a", "reserved": "/sys/b", "more": 1})")) ==
        "root.upper.quota.more");
}

TEST_CASE("an upper in an image has the path of its file, and no size: the image has one") {
  constexpr const char* kTmpfs = R"("tmpfs", "path": "/run/uppers/sb", "bytes": 1073741824, "inodes": 262144)";
  JsonDocument document;
  std::string text = plan_with(kTmpfs, R"("image", "path": "/run/uppers/sb", "image": "/var/uppers/sb.ext4")");
  LaunchPlan plan = read_plan(document.parse(text), false);
  CHECK_FALSE(document.problem().found());
  CHECK(plan.upper.kind == UpperPlan::Kind::kImage);
  CHECK(plan.upper.path == "/run/uppers/sb");
  CHECK(plan.upper.image == "/var/uppers/sb.ext4");
  CHECK(refused(plan_with(kTmpfs, R"("image", "path": "/run/uppers/sb")")) == "root.upper.image");
  CHECK(refused(plan_with(kTmpfs, R"("image", "path": "/run/sb", "image": "sb.ext4")")) == "root.upper.image");
  CHECK(refused(plan_with(kTmpfs, R"("disk", "path": "/var/sb", "image": "/var/sb.ext4")")) == "root.upper.image");
  CHECK(refused(plan_with(R"("tmpfs", "path")", R"("tmpfs", "image": "/var/sb.ext4", "path")")) == "root.upper.image");
}

// A field is taken away by giving it another name: the missing one must be the first that is refused.
TEST_CASE("a plan without one of its fields is refused with the field's path") {
  struct Row {
    const char* name;
    const char* path;
  };
  for (const Row& row : {
           Row{"version", "version"},
           Row{"id", "id"},
           Row{"incarnation", "incarnation"},
           Row{"hostname", "hostname"},
           Row{"root", "root"},
           Row{"layers", "root.layers"},
           Row{"path", "root.layers.0.path"},
           Row{"idmap", "root.layers.0.idmap"},
           Row{"upper", "root.upper"},
           Row{"kind", "root.upper.kind"},
           Row{"bytes", "root.upper.bytes"},
           Row{"inodes", "root.upper.inodes"},
           Row{"binds", "binds"},
           Row{"source", "binds.0.source"},
           Row{"target", "binds.0.target"},
           Row{"readOnly", "binds.0.readOnly"},
           Row{"owner", "binds.0.owner"},
           Row{"ids", "ids"},
           Row{"base", "ids.base"},
           Row{"count", "ids.count"},
           Row{"namespaces", "namespaces"},
           Row{"cgroups", "cgroups"},
           Row{"set", "cgroups.0.set"},
           Row{"roles", "cgroups.0.roles"},
           Row{"resources", "resources"},
           Row{"openFiles", "resources.openFiles"},
           Row{"capabilities", "capabilities"},
           Row{"noNewPrivileges", "noNewPrivileges"},
           Row{"landlock", "landlock"},
           Row{"shmBytes", "shmBytes"},
           Row{"files", "files"},
           Row{"content", "files.0.content"},
           Row{"environment", "environment"},
           Row{"agent", "agent"},
           Row{"socket", "agent.socket"},
           Row{"dieWithLauncher", "dieWithLauncher"},
       }) {
    CAPTURE(row.name);
    CHECK(refused(plan_with("\"" + std::string(row.name) + "\":", "\"other\":")) == row.path);
  }
  CHECK(refused(plan_with(R"("path": "/run/uppers/sb", )", "")) == "root.upper.path");
  CHECK(refused(plan_with(R"("path": "/sys/fs/cgroup/sb", )", "")) == "cgroups.0.path");
  CHECK(refused(plan_with(R"("version": 2, )", "")) == "cgroups.0.version");
  CHECK(refused(plan_with(R"("path": "/etc/hosts", )", "")) == "files.0.path");
}

TEST_CASE("a field that nobody knows is refused wherever it is") {
  struct Row {
    const char* old_text;
    const char* new_text;
    const char* path;
  };
  for (const Row& row : {
           Row{R"("version": 1)", R"("x": 1, "version": 1)", "x"},
           Row{R"("layers": [)", R"("x": 1, "layers": [)", "root.x"},
           Row{R"("idmap": false)", R"("idmap": false, "x": 1)", "root.layers.1.x"},
           Row{R"("inodes":)", R"("x": 1, "inodes":)", "root.upper.x"},
           Row{R"("readOnly":)", R"("x": 1, "readOnly":)", "binds.0.x"},
           Row{R"("base":)", R"("x": 1, "base":)", "ids.x"},
           Row{R"("roles":)", R"("x": 1, "roles":)", "cgroups.0.x"},
           Row{R"("openFiles":)", R"("x": 1, "openFiles":)", "resources.x"},
           Row{R"("content":)", R"("x": 1, "content":)", "files.0.x"},
           Row{R"("socket":)", R"("x": 1, "socket":)", "agent.x"},
           Row{R"("id":)", R"("id": "sb", "id":)", "id"},
       }) {
    CAPTURE(row.path);
    CHECK(refused(plan_with(row.old_text, row.new_text)) == row.path);
  }
}

TEST_CASE("a value of another type or out of its range is refused with its path") {
  struct Row {
    const char* old_text;
    const char* new_text;
    const char* path;
  };
  const std::string long_socket = "\"/" + std::string(107, 'a') + "\"";
  for (const Row& row : {
           Row{R"("version": 1)", R"("version": 2)", "version"},
           Row{R"("version": 1)", R"("version": "1")", "version"},
           Row{R"("web-1")", "1", "hostname"},
           Row{R"("web-1")", R"("a\u0000b")", "hostname"},
           Row{R"("incarnation": 3)", R"("incarnation": -1)", "incarnation"},
           Row{R"("incarnation": 3)", R"("incarnation": 3.5)", "incarnation"},
           Row{R"("/run/layers/a")", R"("run/layers/a")", "root.layers.0.path"},
           Row{R"("/run/layers/b")", R"("/run/../b")", "root.layers.1.path"},
           Row{R"("idmap": true)", R"("idmap": 1)", "root.layers.0.idmap"},
           Row{R"("tmpfs")", R"("ramfs")", "root.upper.kind"},
           Row{R"("bytes": 1073741824)", R"("bytes": 65535)", "root.upper.bytes"},
           Row{R"("bytes": 1073741824)", R"("bytes": 1125899906842625)", "root.upper.bytes"},
           Row{R"("inodes": 262144)", R"("inodes": 63)", "root.upper.inodes"},
           Row{R"("/usr")", R"("/usr/..")", "binds.0.source"},
           Row{R"("/opt/usr")", R"("/")", "binds.0.target"},
           Row{R"("owner": "root")", R"("owner": "nobody")", "binds.0.owner"},
           Row{R"(["/src/a"])", R"(["src/a"])", "binds.0.hide"},
           Row{R"(["/src/a"])", R"(["/src/../a"])", "binds.0.hide"},
           Row{R"(["/src/a"])", R"(["/"])", "binds.0.hide"},
           Row{R"(["/src/a"])", R"("/src/a")", "binds.0.hide"},
           Row{R"(["/src/a"])", "[1]", "binds.0.hide.0"},
           Row{R"("base": 1879048192)", R"("base": 0)", "ids.base"},
           Row{R"("base": 1879048192)", R"("base": 4294901760)", "ids.base"},
           Row{R"("count": 65536)", R"("count": 0)", "ids.count"},
           Row{R"("count": 65536)", R"("count": 65537)", "ids.count"},
           Row{R"(["mount", "pid", "network", "user"])", R"("mount")", "namespaces"},
           Row{R"("network")", R"("net")", "namespaces"},
           Row{R"("mount", )", "", "namespaces"},
           Row{R"("pid", )", "", "namespaces"},
           Row{R"(, "user")", "", "namespaces"},
           Row{R"("version": 2)", R"("version": 3)", "cgroups.0.version"},
           Row{R"(["pids.max", "100"])", R"(["pids.max"])", "cgroups.0.set"},
           Row{R"(["pids.max", "100"])", R"(["../pids.max", "100"])", "cgroups.0.set"},
           Row{R"(["pids.max", "100"])", R"(["pids.max", 100])", "cgroups.0.set.0.1"},
           Row{R"(["track"])", R"(["freeze"])", "cgroups.0.roles"},
           Row{R"("openFiles": 1024)", R"("openFiles": 15)", "resources.openFiles"},
           Row{R"("openFiles": 1024)", R"("openFiles": 1048577)", "resources.openFiles"},
           Row{R"("fileBytes": 4096)", R"("fileBytes": -1)", "resources.fileBytes"},
           Row{R"("fileBytes": 4096)", R"("fileBytes": 1125899906842625)", "resources.fileBytes"},
           Row{R"("CAP_CHOWN")", R"("CAP_EVERYTHING")", "capabilities"},
           Row{R"("CAP_CHOWN")", "0", "capabilities.0"},
           Row{R"("noNewPrivileges": true)", R"("noNewPrivileges": "true")", "noNewPrivileges"},
           Row{R"("landlock": "all")", R"("landlock": "some")", "landlock"},
           Row{R"("landlock": "all")", R"("landlock": true)", "landlock"},
           Row{R"("shmBytes": 65536)", R"("shmBytes": 65535)", "shmBytes"},
           Row{R"("/etc/hosts")", R"("etc/hosts")", "files.0.path"},
           Row{R"("A": "b=c")", R"("A=b": "c")", "environment"},
           Row{R"("A": "b=c")", R"("": "c")", "environment"},
           Row{R"("A": "b=c")", R"("A": null)", "environment.A"},
           Row{R"("/run/sb.sock")", long_socket.c_str(), "agent.socket"},
           Row{R"("dieWithLauncher": true)", R"("dieWithLauncher": null)", "dieWithLauncher"},
       }) {
    CAPTURE(row.old_text);
    CAPTURE(row.new_text);
    CHECK(refused(plan_with(row.old_text, row.new_text)) == row.path);
  }
  CHECK(refused(plan_with(R"("base": 1879048192)", R"("base": 4294901759)")) == "");
}

TEST_CASE("the id 0 is for a launcher that is root of a namespace alone") {
  std::string plan = plan_with(R"("base": 1879048192)", R"("base": 0)");
  CHECK(refused(plan) == "ids.base");
  JsonDocument document;
  CHECK(read_plan(document.parse(plan), false, true).id_base == 0);
  CHECK(!document.problem().found());
}

TEST_CASE("files may be of any size where the plan does not say") {
  JsonDocument document;
  LaunchPlan plan = read_plan(document.parse(plan_with(R"(, "fileBytes": 4096)", "")), false);
  CHECK_FALSE(document.problem().found());
  CHECK_FALSE(plan.file_bytes.has_value());
}

TEST_CASE("a root stands on 1 to 64 layers") {
  auto with_layers = [](int count) {
    std::string layers;
    for (int i = 0; i < count; i++) layers += std::string(i == 0 ? "" : ",") + R"({"path": "/a", "idmap": true})";
    return plan_with(R"({"path": "/run/layers/a", "idmap": true}, {"path": "/run/layers/b", "idmap": false})", layers);
  };
  CHECK(refused(with_layers(0)) == "root.layers");
  CHECK(refused(with_layers(1)) == "");
  CHECK(refused(with_layers(64)) == "");
  CHECK(refused(with_layers(65)) == "root.layers");
}

TEST_CASE("a step is made to fail only where faults are allowed") {
  std::string plan = plan_with(R"("version": 1)", R"("failAt": "overlay", "version": 1)");
  CHECK(refused(plan, false) == "failAt");
  CHECK(refused(plan, true) == "");
  JsonDocument document;
  CHECK(read_plan(document.parse(plan), true).fail_at == "overlay");
}

TEST_CASE("filters are read from their files, and those of commands need that nothing gains privileges") {
  const std::string allow("\x06\0\0\0\0\0\xff\x7f", 8);
  test::Tree tree;
  tree.write("one.bpf", allow);
  tree.write("two.bpf", allow + allow);
  const std::string both = filters(tree.at("one.bpf"), tree.at("two.bpf"));
  JsonDocument document;
  LaunchPlan plan = read_plan(document.parse(both), false);
  CHECK_FALSE(document.problem().found());
  CHECK(plan.seccomp.sandbox == allow);
  CHECK(plan.seccomp.commands == allow + allow);
  CHECK(refused(filters(tree.at("one.bpf"), tree.at("none.bpf"))) == "seccomp.commands");
  const std::string gaining = plan_with(R"("noNewPrivileges": true)", R"("noNewPrivileges": false)");
  CHECK(refused(with_filters(gaining, tree.at("one.bpf"), tree.at("two.bpf"))) == "seccomp");
  CHECK(refused(plan_with(R"("seccomp": {})", R"("seccomp": {"x": ""})")) == "seccomp.x");
}

TEST_CASE("a filter is 1 to 4096 whole instructions in a regular file of a normal path") {
  test::Tree tree;
  auto refused_with = [&](size_t bytes) {
    tree.write("filter.bpf", std::string(bytes, 'x'));
    return refused(filters(tree.at("filter.bpf")));
  };
  for (size_t bytes : {8, 16, 32768}) {
    CAPTURE(bytes);
    CHECK(refused_with(bytes) == "");
  }
  for (size_t bytes : {0, 1, 7, 9, 32767, 32769, 32776}) {
    CAPTURE(bytes);
    CHECK(refused_with(bytes) == "seccomp.sandbox");
  }
  tree.write("sound.bpf", std::string(8, 'x'));
  REQUIRE(mkfifo(tree.at("fifo").c_str(), 0600) == 0);
  for (const std::string& path : {tree.at("missing.bpf"), tree.at("fifo"), tree.path(), tree.at("./sound.bpf"),
                                  tree.at("sound.bpf").substr(1), std::string("sound.bpf"), std::string()}) {
    CAPTURE(path);
    CHECK(refused(filters(path)) == "seccomp.sandbox");
  }
}

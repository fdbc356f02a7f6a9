#include "agent/users.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "agent/environment.h"
#include "agent/passwd.h"
#include "agent/path-lookup.h"

using namespace plybox;

namespace {

constexpr std::string_view kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "# a comment\n"
    "broken:x:notanumber:0::/:\n"
    "\n"
    "alice:x:1000:1001:Alice,,,:/home/alice:/bin/zsh\n"
    "short:x:7:7\n"
    "last:x:1002:1002::/home/last:/bin/sh";
constexpr std::string_view kGroup =
    "root:x:0:\nwheel:x:10:root,alice\nusers:x:100:alice,bob\nstaff:x:50:alicia\ntwice:x:100:alice\n";

Account account_of(std::string_view spec) {
  std::variant<Account, Refusal> found = resolve_user(spec, kPasswd, kGroup);
  REQUIRE(std::holds_alternative<Account>(found));
  return std::get<Account>(found);
}

std::string refusal_of(std::string_view spec) {
  std::variant<Account, Refusal> found = resolve_user(spec, kPasswd, kGroup);
  return std::holds_alternative<Refusal>(found) ? std::get<Refusal>(found).message : "";
}

using Ids = std::vector<uint32_t>;

}  // namespace

TEST_CASE("a user is found by name and by number, with the groups that list it") {
  for (std::string_view spec : {"alice", "1000"}) {
    Account alice = account_of(spec);
    CHECK(alice.uid == 1000);
    CHECK(alice.gid == 1001);
    CHECK(alice.name == "alice");
    CHECK(alice.home == "/home/alice");
    CHECK(alice.shell == "/bin/zsh");
    CHECK(alice.groups == Ids{10, 100});
  }
  CHECK(account_of("last").uid == 1002);
  CHECK(account_of("short").home == "/");
  CHECK(account_of("short").shell == "/bin/sh");
}

TEST_CASE("a group that is named stands alone") {
  CHECK(account_of("alice:users").gid == 100);
  CHECK(account_of("alice:users").groups.empty());
  CHECK(account_of("alice:77").gid == 77);
  CHECK(account_of("4000:4001").uid == 4000);
  CHECK(account_of("4000:4001").gid == 4001);
  CHECK(account_of("4000").gid == 0);
  CHECK(account_of("4000").name == "4000");
  CHECK(account_of("4000").home == "/");
}

TEST_CASE("root needs no passwd file") {
  Account root = std::get<Account>(resolve_user("root", "", ""));
  CHECK(root.uid == 0);
  CHECK(root.home == "/root");
  CHECK(std::get<Account>(resolve_user("0", "", "")).name == "root");
}

TEST_CASE("who does not exist is refused") {
  CHECK(refusal_of("bob") == "no such user: bob");
  CHECK(refusal_of("broken") == "no such user: broken");
  CHECK(refusal_of("alice:nogroup") == "no such group: nogroup");
  CHECK(refusal_of("alice:") == "no such group: ");
  CHECK(refusal_of(":users") == "no such user: ");
  CHECK(refusal_of("4294967295") == "no such user: 4294967295");
  CHECK(refusal_of("-1") == "no such user: -1");
  CHECK(refusal_of("00000000000") == "no such user: 00000000000");
}

TEST_CASE("ids are decimal and below 2^32 - 1") {
  CHECK(parse_id("0") == 0u);
  CHECK(parse_id("4294967294") == 4294967294u);
  for (std::string_view text : {"", "4294967295", "4294967296", "99999999999", "+1", " 1", "1 ", "0x1"})
    CHECK_FALSE(parse_id(text));
}

TEST_CASE("the environment is overridden by the sandbox's, and both by the command's") {
  Account alice = account_of("alice");
  const char* sandbox[] = {"LANG=de", "A=sandbox", "B=sandbox", "=odd", "novalue", nullptr};
  auto environment =
      build_environment(alice, false, const_cast<char* const*>(sandbox), {{"A", "command"}, {"E", ""}, {"A", "last"}});
  CHECK(environment_value(environment, "PATH") == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  CHECK(environment_value(environment, "HOME") == "/home/alice");
  CHECK(environment_value(environment, "USER") == "alice");
  CHECK(environment_value(environment, "LOGNAME") == "alice");
  CHECK(environment_value(environment, "SHELL") == "/bin/zsh");
  CHECK(environment_value(environment, "LANG") == "de");
  CHECK(environment_value(environment, "A") == "last");
  CHECK(environment_value(environment, "B") == "sandbox");
  CHECK(environment_value(environment, "TERM") == "");
  CHECK(std::count(environment.begin(), environment.end(), "A=last") == 1);
  CHECK(std::count(environment.begin(), environment.end(), "E=") == 1);
  CHECK(environment.size() == 10);
  CHECK(environment_value(build_environment(alice, true, const_cast<char* const*>(sandbox), {}), "TERM") ==
        "xterm-256color");
}

TEST_CASE("a program is looked for along PATH unless it names a path") {
  using List = std::vector<std::string>;
  CHECK(program_candidates("ls", "/usr/bin:/bin/") == List{"/usr/bin/ls", "/bin/ls"});
  CHECK(program_candidates("ls", ":/bin:") == List{"./ls", "/bin/ls", "./ls"});
  CHECK(program_candidates("ls", "") == List{"./ls"});
  CHECK(program_candidates("./ls", "/bin") == List{"./ls"});
  CHECK(program_candidates("/bin/ls", "/usr/bin") == List{"/bin/ls"});
}

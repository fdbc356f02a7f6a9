#include "agent/users.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "agent/passwd.h"
#include "common/unique-fd.h"

namespace plybox {
namespace {

constexpr const char* kPasswd = "/etc/passwd";
constexpr const char* kGroup = "/etc/group";
// More than any real file; the sandbox may put anything there.
constexpr off_t kMaxFileBytes = 4 << 20;

// A file that does not exist reads as empty.
Result<std::string> read_file(const char* path) {
  // O_NONBLOCK: a pipe in its place must not stop the agent.
  UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd && errno == ENOENT) return std::string();
  if (!fd) return Failure::here(path);
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return Failure::here(path);
  if (!S_ISREG(status.st_mode)) return Failure{path, EINVAL};
  if (status.st_size > kMaxFileBytes) return Failure{path, EFBIG};
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t got = 0;
  while (got < text.size()) {
    ssize_t count = read(fd.get(), text.data() + got, text.size() - got);
    if (count < 0) return Failure::here(path);
    if (count == 0) break;
    got += static_cast<size_t>(count);
  }
  text.resize(got);
  return text;
}

Refusal no_such(const char* what, std::string_view name) {
  return {"bad-user", std::string("no such ") + what + ": " + std::string(name), "user"};
}

}  // namespace

std::variant<Account, Refusal> resolve_user(std::string_view spec, std::string_view passwd, std::string_view group) {
  size_t colon = spec.find(':');
  std::string_view user = spec.substr(0, colon);
  std::optional<uint32_t> uid = parse_id(user);
  std::optional<PasswdEntry> entry = uid ? passwd_by_uid(passwd, *uid) : passwd_by_name(passwd, user);
  if (!entry && (user == "root" || uid == 0u)) entry = PasswdEntry{"root", 0, 0, "/root", "/bin/sh"};
  if (!entry && !uid) return no_such("user", user);
  if (!entry) entry = PasswdEntry{user, *uid, 0, "/", "/bin/sh"};

  Account account{
      entry->uid, entry->gid, {}, std::string(entry->name), std::string(entry->home), std::string(entry->shell)};
  if (account.home.empty()) account.home = "/";
  if (account.shell.empty()) account.shell = "/bin/sh";
  if (colon == spec.npos) {
    account.groups = groups_of(group, entry->name);
    return account;
  }
  // A group that is named stands alone: the user's other groups are not taken along.
  std::string_view name = spec.substr(colon + 1);
  std::optional<uint32_t> gid = parse_id(name);
  if (!gid) gid = group_by_name(group, name);
  if (!gid) return no_such("group", name);
  account.gid = *gid;
  return account;
}

// Where an unprivileged user's namespace has a single id, nobody in it may change groups: those that the user had stay,
// for every command alike.
static bool groups_are_fixed() {
  static const bool fixed = [] {
    char word[8] = {};
    UniqueFd fd(open("/proc/self/setgroups", O_RDONLY | O_CLOEXEC));
    return fd && read(fd.get(), word, sizeof(word) - 1) > 0 && std::string_view(word).starts_with("deny");
  }();
  return fixed;
}

bool runs_as(const Account& account) {
  if (geteuid() != account.uid || getegid() != account.gid) return false;
  if (groups_are_fixed()) return true;
  gid_t groups[64];
  int count = getgroups(64, groups);
  if (count < 0) return false;
  std::sort(groups, groups + count);
  return std::equal(groups, groups + count, account.groups.begin(), account.groups.end());
}

bool Users::Identity::operator==(const Identity& other) const {
  return device == other.device && inode == other.inode && size == other.size &&
         changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
}

// Of a file that does not exist, the same answer each time. The change time, unlike the modification time, cannot be
// set back.
Users::Identity Users::identity(const char* path) {
  struct stat status;
  if (stat(path, &status) != 0) return {};
  return {status.st_dev, status.st_ino, status.st_size, status.st_ctim};
}

std::variant<const Account*, Refusal> Users::lookup(std::string_view spec) {
  Identity passwd = identity(kPasswd), group = identity(kGroup);
  if (spec == spec_ && passwd == passwd_ && group == group_) return &account_;
  spec_.clear();

  Result<std::string> passwd_text = read_file(kPasswd);
  if (!passwd_text) return Refusal::failed("bad-user", "cannot read /etc/passwd", passwd_text.failure());
  Result<std::string> group_text = read_file(kGroup);
  if (!group_text) return Refusal::failed("bad-user", "cannot read /etc/group", group_text.failure());
  std::variant<Account, Refusal> found = resolve_user(spec, *passwd_text, *group_text);
  if (Refusal* refusal = std::get_if<Refusal>(&found)) return std::move(*refusal);

  account_ = std::get<Account>(std::move(found));
  spec_ = spec;
  passwd_ = passwd;
  group_ = group;
  return &account_;
}

}  // namespace plybox

#include "agent/passwd.h"

#include <algorithm>

namespace plybox {
namespace {

// Takes the part before the next `separator`, and the separator, off `text`.
std::string_view take(std::string_view& text, char separator) {
  size_t end = text.find(separator);
  std::string_view part = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return part;
}

// name:password:uid:gid:comment:home:shell
std::optional<PasswdEntry> parse_passwd(std::string_view line) {
  PasswdEntry entry;
  entry.name = take(line, ':');
  take(line, ':');
  std::optional<uint32_t> uid = parse_id(take(line, ':'));
  std::optional<uint32_t> gid = parse_id(take(line, ':'));
  take(line, ':');
  entry.home = take(line, ':');
  entry.shell = take(line, ':');
  if (entry.name.empty() || !uid || !gid) return std::nullopt;
  entry.uid = *uid;
  entry.gid = *gid;
  return entry;
}

struct GroupEntry {
  std::string_view name;
  uint32_t gid;
  std::string_view members;
};

// name:password:gid:member,member
std::optional<GroupEntry> parse_group(std::string_view line) {
  std::string_view name = take(line, ':');
  take(line, ':');
  std::optional<uint32_t> gid = parse_id(take(line, ':'));
  if (name.empty() || !gid) return std::nullopt;
  return GroupEntry{name, *gid, take(line, ':')};
}

template <typename Matches>
std::optional<PasswdEntry> find_passwd(std::string_view passwd, Matches matches) {
  while (!passwd.empty()) {
    std::optional<PasswdEntry> entry = parse_passwd(take(passwd, '\n'));
    if (entry && matches(*entry)) return entry;
  }
  return std::nullopt;
}

bool lists(std::string_view members, std::string_view user) {
  while (!members.empty()) {
    if (take(members, ',') == user) return true;
  }
  return false;
}

}  // namespace

std::optional<uint32_t> parse_id(std::string_view text) {
  if (text.empty() || text.size() > 10) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  if (value >= UINT32_MAX) return std::nullopt;
  return static_cast<uint32_t>(value);
}

std::optional<PasswdEntry> passwd_by_name(std::string_view passwd, std::string_view name) {
  return find_passwd(passwd, [&](const PasswdEntry& entry) { return entry.name == name; });
}

std::optional<PasswdEntry> passwd_by_uid(std::string_view passwd, uint32_t uid) {
  return find_passwd(passwd, [&](const PasswdEntry& entry) { return entry.uid == uid; });
}

std::optional<uint32_t> group_by_name(std::string_view group, std::string_view name) {
  while (!group.empty()) {
    std::optional<GroupEntry> entry = parse_group(take(group, '\n'));
    if (entry && entry->name == name) return entry->gid;
  }
  return std::nullopt;
}

std::vector<uint32_t> groups_of(std::string_view group, std::string_view user) {
  constexpr size_t kMaxGroups = 65536;  // NGROUPS_MAX
  std::vector<uint32_t> ids;
  while (!group.empty()) {
    std::optional<GroupEntry> entry = parse_group(take(group, '\n'));
    if (entry && lists(entry->members, user)) ids.push_back(entry->gid);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.size() > kMaxGroups) ids.resize(kMaxGroups);
  return ids;
}

}  // namespace plybox

// The text of /etc/passwd and /etc/group, read without the C library's name service: that one loads modules from the
// root file system, which the sandbox owns.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace plybox {

struct PasswdEntry {
  std::string_view name;
  uint32_t uid;
  uint32_t gid;
  std::string_view home;
  std::string_view shell;
};

// A decimal id. 2^32 - 1 is none: to the kernel it means "leave as it is".
std::optional<uint32_t> parse_id(std::string_view text);

// Lines that are not entries are passed over, as the C library does. The answers are views into `passwd` or `group`.
std::optional<PasswdEntry> passwd_by_name(std::string_view passwd, std::string_view name);
std::optional<PasswdEntry> passwd_by_uid(std::string_view passwd, uint32_t uid);
std::optional<uint32_t> group_by_name(std::string_view group, std::string_view name);
// Ids of the groups that list `user` as a member, each once, at most 65,536.
std::vector<uint32_t> groups_of(std::string_view group, std::string_view user);

}  // namespace plybox

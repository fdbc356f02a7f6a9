#include "agent/files/entry.h"

#include <cstdio>

#include "agent/files/resolve.h"
#include "common/frame.h"

namespace plybox {
namespace {

void write_number(JsonWriter& json, uint64_t value) {
  if (value <= kMaxOffset) {
    json.integer(value);
  } else {
    json.string(std::to_string(value));
  }
}

// Nanoseconds since 1970, which may lie before.
std::string nanoseconds(const timespec& time) {
  __int128 value = static_cast<__int128>(time.tv_sec) * 1000000000 + time.tv_nsec;
  bool negative = value < 0;
  if (negative) value = -value;
  std::string digits;
  do {
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
    value /= 10;
  } while (value > 0);
  return negative ? "-" + digits : digits;
}

}  // namespace

const char* type_name(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file";
    case S_IFDIR:
      return "directory";
    case S_IFLNK:
      return "symlink";
    case S_IFIFO:
      return "fifo";
    case S_IFSOCK:
      return "socket";
    case S_IFCHR:
      return "character-device";
    default:
      return "block-device";
  }
}

void write_entry(JsonWriter& json, const struct stat& status, std::string_view shown, int directory, const char* name) {
  json.begin_object();
  json.key("name").bytes(shown);
  json.key("type").string(type_name(status.st_mode));
  json.key("size");
  write_number(json, static_cast<uint64_t>(status.st_size));
  json.key("mode").integer(status.st_mode & 07777);
  json.key("uid").integer(status.st_uid);
  json.key("gid").integer(status.st_gid);
  json.key("mtimeNs").string(nanoseconds(status.st_mtim));
  json.key("inode").string(std::to_string(status.st_ino));
  json.key("links");
  write_number(json, status.st_nlink);
  if (S_ISLNK(status.st_mode)) {
    // It may have been replaced by now; then it has no target to tell.
    Outcome<std::string> target = read_link(directory, name);
    json.key("target").bytes(target ? *target : std::string());
  }
  json.end_object();
}

std::string etag_of(const struct stat& status) {
  char text[128];
  std::snprintf(text, sizeof(text), "%llx-%llx-%llx.%lx-%llx.%lx", static_cast<unsigned long long>(status.st_ino),
                static_cast<unsigned long long>(status.st_size), static_cast<unsigned long long>(status.st_mtim.tv_sec),
                static_cast<unsigned long>(status.st_mtim.tv_nsec),
                static_cast<unsigned long long>(status.st_ctim.tv_sec),
                static_cast<unsigned long>(status.st_ctim.tv_nsec));
  return text;
}

}  // namespace plybox

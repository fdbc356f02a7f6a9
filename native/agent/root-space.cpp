#include "agent/root-space.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <charconv>
#include <optional>

namespace plybox {
namespace {

std::optional<uint64_t> read_number(const UniqueFd& file) {
  char text[24];
  ssize_t count = file ? pread(file.get(), text, sizeof(text), 0) : -1;
  uint64_t number = 0;
  if (count <= 0 || std::from_chars(text, text + count, number).ec != std::errc()) return std::nullopt;
  return number;
}

}  // namespace

// The overlay answers for its upper: a tmpfs, an image, or whatever file system a directory is on.
const char* RootSpace::full() const {
  struct statvfs space;
  if (statvfs("/", &space) != 0 || (space.f_flag & ST_RDONLY) != 0) return nullptr;
  if (space.f_blocks > 0 && uint64_t{space.f_bavail} * space.f_frsize < least_room_) return "bytes";
  if (space.f_files > 0 && space.f_favail == 0) return "inodes";
  return quota_is_full() ? "bytes" : nullptr;
}

bool RootSpace::quota_is_full() const {
  std::optional<uint64_t> referenced = read_number(quota_.referenced), reserved = read_number(quota_.reserved);
  return referenced && reserved && *referenced + *reserved + least_room_ > quota_.bytes;
}

}  // namespace plybox

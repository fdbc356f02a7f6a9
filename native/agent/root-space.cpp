#include "agent/root-space.h"

#include <sys/statvfs.h>

namespace plybox {

// The overlay answers for its upper: a tmpfs, an image, or whatever file system a directory is on.
const char* root_is_full(uint64_t least_room) {
  struct statvfs space;
  if (statvfs("/", &space) != 0 || (space.f_flag & ST_RDONLY) != 0) return nullptr;
  if (space.f_blocks > 0 && uint64_t{space.f_bavail} * space.f_frsize < least_room) return "bytes";
  if (space.f_files > 0 && space.f_favail == 0) return "inodes";
  return nullptr;
}

}  // namespace plybox

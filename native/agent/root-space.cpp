#include "agent/root-space.h"

#include <sys/statvfs.h>

namespace plybox {

// The overlay answers for its upper: a tmpfs, or a directory that a project quota may bound.
const char* root_is_full() {
  struct statvfs space;
  if (statvfs("/", &space) != 0 || (space.f_flag & ST_RDONLY) != 0) return nullptr;
  if (space.f_blocks > 0 && space.f_bavail == 0) return "bytes";
  if (space.f_files > 0 && space.f_favail == 0) return "inodes";
  return nullptr;
}

}  // namespace plybox

#include "agent/files/rename.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

namespace plybox {

int rename_spot(int from, const char* from_name, int to, const char* to_name, bool overwrite) {
  if (overwrite) return renameat(from, from_name, to, to_name);
  if (syscall(SYS_renameat2, from, from_name, to, to_name, RENAME_NOREPLACE) == 0) return 0;
  // EINVAL: perhaps a file system without this flag; then it is not one step.
  if (errno != EINVAL && errno != ENOSYS) return -1;
  struct stat status;
  if (fstatat(to, to_name, &status, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return -1;
  }
  return renameat(from, from_name, to, to_name);
}

}  // namespace plybox

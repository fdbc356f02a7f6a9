#include "launcher/targets.h"

#include <errno.h>

#include "common/syscalls.h"

namespace plybox {
namespace {

UniqueFd open_inside(int root, const char* path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(sys::openat2(root, path, how));
}

}  // namespace

Result<UniqueFd> open_target(const char* step, int root, const std::string& path, bool directory) {
  UniqueFd found = open_inside(root, path.c_str(), O_PATH);
  if (found) return found;
  if (errno != ENOENT) return Failure::here(step);

  size_t slash = path.rfind('/');
  Result<UniqueFd> parent = open_target(step, root, slash == 0 ? "/" : path.substr(0, slash), true);
  if (!parent) return parent;
  const char* name = path.c_str() + slash + 1;
  if (directory) {
    if (mkdirat(parent->get(), name, 0755) != 0) return Failure::here(step);
  } else {
    UniqueFd made(openat(parent->get(), name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644));
    if (!made) return Failure::here(step);
  }
  UniqueFd made(openat(parent->get(), name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!made) return Failure::here(step);
  return made;
}

Result<> attach_over(const char* step, int mount, int target) {
  if (sys::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return Failure::here(step);
  return {};
}

}  // namespace plybox

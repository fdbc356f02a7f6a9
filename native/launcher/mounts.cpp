#include "launcher/mounts.h"

#include <linux/stat.h>

#include "common/syscalls.h"

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x00002000
#endif

namespace plybox {

Result<UniqueFd> make_mount(const char* step, const char* type, unsigned attributes, const char* const* options) {
  UniqueFd context(sys::fsopen(type, FSOPEN_CLOEXEC));
  if (!context) return Failure::here(step);
  for (; options != nullptr && *options != nullptr; options += 2) {
    bool flag = options[1][0] == '\0';
    if (sys::fsconfig(context.get(), flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, options[0],
                      flag ? nullptr : options[1], 0) != 0)
      return Failure::here(step);
  }
  if (sys::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return Failure::here(step);
  UniqueFd mount(sys::fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
  if (!mount) return Failure::here(step);
  return mount;
}

UniqueFd open_without_links(int directory, const char* path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  return UniqueFd(sys::openat2(directory, path, how));
}

Result<UniqueFd> copy_mount(const char* step, int directory, const char* path, unsigned flags) {
  UniqueFd mount(sys::open_tree(directory, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags));
  if (!mount) return Failure::here(step);
  return mount;
}

Result<> idmap_mount(const char* step, int mount, int user_namespace) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<uint64_t>(user_namespace);
  if (sys::mount_setattr(mount, "", AT_EMPTY_PATH, attributes) != 0) return Failure::here(step);
  return {};
}

Result<> set_attributes(const char* step, int mount, uint64_t set, unsigned flags) {
  mount_attr attributes{};
  attributes.attr_set = set;
  if (sys::mount_setattr(mount, "", AT_EMPTY_PATH | flags, attributes) != 0) return Failure::here(step);
  return {};
}

Result<> attach(const char* step, int mount, const char* target) {
  if (sys::move_mount(mount, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) != 0) return Failure::here(step);
  return {};
}

Result<bool> is_mount_point(const char* step, const char* path) {
  struct statx status;
  if (syscall(SYS_statx, AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW, STATX_TYPE, &status) != 0)
    return Failure::here(step);
  return (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

}  // namespace plybox

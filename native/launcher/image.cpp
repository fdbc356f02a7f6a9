#include "launcher/image.h"

#include <errno.h>

#include "common/syscalls.h"
#include "launcher/loop.h"
#include "launcher/mounts.h"

namespace plybox {
namespace {

Result<> mount_source(const char* source, const std::string& format, const std::string& target) {
  const char* const options[] = {"source", source, "ro", "", nullptr};
  unsigned attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
  Result<UniqueFd> mount = make_mount("mount-image", format.c_str(), attributes, options);
  if (!mount) return mount.failure();
  return attach("mount-image", mount->get(), target.c_str());
}

}  // namespace

Result<> mount_image(const std::string& image, const std::string& format, const std::string& target) {
  if (mkdir(target.c_str(), 0700) != 0 && errno != EEXIST) return Failure::here("target");
  Result<bool> mounted = is_mount_point("target", target.c_str());
  if (!mounted) return mounted.failure();
  if (*mounted) return Failure{"already-mounted", EBUSY};
  if (format == "erofs") {
    // Since Linux 6.12 it reads a file by itself, where the file's own file system is not one of several layers.
    Result<> mounted = mount_source(image.c_str(), format, target);
    if (mounted || mounted.failure().error != ENOTBLK) return mounted;
  }
  Result<LoopDevice> device = attach_readonly(image);
  if (!device) return device.failure();
  return mount_source(device->path, format, target);
}

Result<> unmount(const std::string& target) {
  // MNT_DETACH: a sandbox may still hold files of it open.
  if (sys::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) return {};
  if (errno == EINVAL || errno == ENOENT) return {};
  return Failure::here("unmount");
}

}  // namespace plybox

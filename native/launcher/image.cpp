#include "launcher/image.h"

#include <errno.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/syscalls.h"
#include "launcher/mounts.h"

namespace plybox {
namespace {

constexpr int kLoopTries = 64;

struct LoopDevice {
  UniqueFd fd;
  char path[32];
};

Result<LoopDevice> attach_loop(const std::string& image) {
  UniqueFd file(open(image.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return Failure::here("open-image");
  UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control) return Failure::here("loop-control");

  loop_config config{};
  config.fd = static_cast<uint32_t>(file.get());
  config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
  strncpy(reinterpret_cast<char*>(config.info.lo_file_name), image.c_str(), LO_NAME_SIZE - 1);
  // Between the number and the configuration another process may take the device.
  for (int i = 0; i < kLoopTries; i++) {
    int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return Failure::here("loop-control");
    LoopDevice device{};
    snprintf(device.path, sizeof(device.path), "/dev/loop%d", number);
    device.fd.reset(open(device.path, O_RDONLY | O_CLOEXEC));
    if (!device.fd) return Failure::here("open-loop");
    if (ioctl(device.fd.get(), LOOP_CONFIGURE, &config) == 0) return device;
    if (errno != EBUSY) return Failure::here("configure-loop");
  }
  return Failure{"configure-loop", EBUSY};
}

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
  Result<LoopDevice> device = attach_loop(image);
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

#include "launcher/loop.h"

#include <dirent.h>
#include <errno.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/syscalls.h"

namespace plybox {
namespace {

constexpr int kLoopTries = 64;
// What ext4 writes at a time, and what direct writes are aligned to on any disk.
constexpr uint32_t kBlockBytes = 4096;

// `mode` is O_RDONLY or O_RDWR.
Result<LoopDevice> open_device(unsigned number, int mode) {
  LoopDevice device{};
  snprintf(device.path, sizeof(device.path), "/dev/loop%u", number);
  device.fd.reset(open(device.path, mode | O_CLOEXEC));
  if (!device.fd) return Failure::here("open-loop");
  return device;
}

// `mode` is what the device is to be opened with: the kernel makes one read-only that is configured read-only.
Result<LoopDevice> attach(const UniqueFd& file, const std::string& image, int mode, loop_config config) {
  UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control) return Failure::here("loop-control");
  config.fd = static_cast<uint32_t>(file.get());
  strncpy(reinterpret_cast<char*>(config.info.lo_file_name), image.c_str(), LO_NAME_SIZE - 1);
  // Between the number and the configuration another process may take the device.
  for (int i = 0; i < kLoopTries; i++) {
    int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return Failure::here("loop-control");
    Result<LoopDevice> device = open_device(static_cast<unsigned>(number), mode);
    if (!device) return device;
    // Some kernels do not mount what is open for writing, so it is held by a descriptor that is not.
    if (ioctl(device->fd.get(), LOOP_CONFIGURE, &config) == 0)
      return mode == O_RDONLY ? device.take() : open_device(static_cast<unsigned>(number), O_RDONLY);
    if (errno != EBUSY) return Failure::here("configure-loop");
  }
  return Failure{"configure-loop", EBUSY};
}

bool shows(const LoopDevice& device, const struct stat& file) {
  loop_info64 status{};
  if (ioctl(device.fd.get(), LOOP_GET_STATUS64, &status) != 0) return false;
  return status.lo_device == file.st_dev && status.lo_inode == file.st_ino;
}

// The device that shows this file already; one without a descriptor where there is none. While its descriptor is open
// it is not freed.
Result<LoopDevice> find_device(const struct stat& file) {
  DIR* devices = opendir("/sys/block");
  if (devices == nullptr) return Failure::here("find-loop");
  LoopDevice found{};
  while (const dirent* entry = readdir(devices)) {
    if (strncmp(entry->d_name, "loop", 4) != 0) continue;
    Result<LoopDevice> device = open_device(static_cast<unsigned>(strtoul(entry->d_name + 4, nullptr, 10)), O_RDONLY);
    // One that is being freed, or is not ours to open, shows nothing of ours.
    if (!device || !shows(*device, file)) continue;
    found = device.take();
    break;
  }
  closedir(devices);
  return found;
}

}  // namespace

Result<LoopDevice> attach_readonly(const std::string& image) {
  UniqueFd file(open(image.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return Failure::here("open-image");
  loop_config config{};
  config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR;
  return attach(file, image, O_RDONLY, config);
}

Result<LoopDevice> attach_writable(const std::string& image, LoopWrites writes) {
  UniqueFd file(open(image.c_str(), O_RDWR | O_CLOEXEC));
  struct stat status;
  if (!file || fstat(file.get(), &status) != 0) return Failure::here("open-image");
  // A copy of the mount in somebody else's namespace keeps the device; so does a launcher that died unmounting.
  Result<LoopDevice> attached = find_device(status);
  if (!attached || attached->fd) return attached;
  loop_config config{};
  config.block_size = kBlockBytes;
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (writes == LoopWrites::kDirect ? LO_FLAGS_DIRECT_IO : 0);
  return attach(file, image, O_RDWR, config);
}

}  // namespace plybox

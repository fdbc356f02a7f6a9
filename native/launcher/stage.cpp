#include "launcher/stage.h"

#include <sched.h>
#include <stdio.h>

#include <string>
#include <vector>

#include "common/syscalls.h"
#include "launcher/mounts.h"

namespace plybox {
namespace {

Failure failed() { return Failure::here("stage"); }

UniqueFd own_mount_namespace() { return UniqueFd(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)); }

// What a sandbox's own /dev, /proc and /sys cannot be made without, by a launcher that is no root of the machine.
constexpr const char* kShown[] = {"/proc",     "/sys",        "/dev/null",    "/dev/zero",
                                  "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"};

struct Shown {
  const char* path;
  UniqueFd mount;
  bool directory;
};

Result<std::vector<Shown>> copy_shown() {
  std::vector<Shown> copies;
  for (const char* path : kShown) {
    Result<UniqueFd> copy = copy_mount("stage", AT_FDCWD, path, AT_RECURSIVE);
    if (!copy) return copy.failure();
    struct stat status;
    if (fstat(copy->get(), &status) != 0) return failed();
    copies.push_back({path, copy.take(), S_ISDIR(status.st_mode)});
  }
  return copies;
}

Result<> attach_shown(const std::vector<Shown>& copies) {
  if (mkdir(kStageDevices, 0755) != 0) return failed();
  for (const Shown& shown : copies) {
    UniqueFd file(shown.directory ? -1 : open(shown.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
    if (shown.directory ? mkdir(shown.path, 0755) != 0 : !file) return failed();
    if (Result<> attached = attach("stage", shown.mount.get(), shown.path); !attached) return attached;
  }
  return {};
}

// Runs in a new copy of the host's mount namespace, and leaves nothing of it but an empty read-only tmpfs.
Result<> clear_namespace(bool rootless) {
  if (sys::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return failed();
  Result<std::vector<Shown>> shown = rootless ? copy_shown() : std::vector<Shown>();
  if (!shown) return shown.failure();
  const char* const options[] = {"mode", "0755", "size", "65536", nullptr};
  Result<UniqueFd> root = make_mount("stage", "tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, options);
  if (!root) return root.failure();
  // Anywhere will do for the moment until the pivot; /proc is where every host that runs this has a directory.
  if (Result<> attached = attach("stage", root->get(), "/proc"); !attached) return attached;
  if (fchdir(root->get()) != 0 || sys::pivot_root(".", ".") != 0 || sys::umount2(".", MNT_DETACH) != 0) return failed();
  for (const char* directory : {kStageLayers, kStageUpper, kStageRoot, kStageFiles, kStageMade})
    if (mkdir(directory, 0755) != 0) return failed();
  for (const char* name : {"dev", "proc", "sys"})
    if (mkdir((std::string(kStageMade) + "/" + name).c_str(), 0755) != 0) return failed();
  for (int i = 0; i < kStageLayerCount; i++) {
    char path[32];
    snprintf(path, sizeof(path), "%s/%d", kStageLayers, i);
    if (mkdir(path, 0755) != 0) return failed();
  }
  if (rootless)
    if (Result<> attached = attach_shown(*shown); !attached) return attached;
  if (sys::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) != 0)
    return failed();
  return {};
}

}  // namespace

Result<Stage> Stage::make(bool rootless) {
  UniqueFd home = own_mount_namespace();
  if (!home || unshare(CLONE_NEWNS) != 0) return failed();
  UniqueFd stage = own_mount_namespace();
  Result<> cleared = stage ? clear_namespace(rootless) : Result<>(failed());
  // Back to the host's in any case; without it the launcher is of no use.
  if (setns(home.get(), CLONE_NEWNS) != 0) return failed();
  if (!cleared) return cleared.failure();
  return Stage(std::move(home), std::move(stage));
}

Result<> Stage::enter() const {
  if (setns(stage_.get(), CLONE_NEWNS) != 0) return failed();
  return {};
}

Result<> Stage::leave() const {
  if (setns(home_.get(), CLONE_NEWNS) != 0) return failed();
  return {};
}

}  // namespace plybox

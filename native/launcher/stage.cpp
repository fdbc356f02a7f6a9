#include "launcher/stage.h"

#include <sched.h>
#include <stdio.h>

#include "common/syscalls.h"
#include "launcher/mounts.h"

namespace plybox {
namespace {

Failure failed() { return Failure::here("stage"); }

UniqueFd own_mount_namespace() { return UniqueFd(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)); }

// Runs in a new copy of the host's mount namespace, and leaves nothing of it but an empty read-only tmpfs.
Result<> clear_namespace() {
  if (sys::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return failed();
  const char* const options[] = {"mode", "0755", "size", "65536", nullptr};
  Result<UniqueFd> root = make_mount("stage", "tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, options);
  if (!root) return root.failure();
  // Anywhere will do for the moment until the pivot; /proc is where every host that runs this has a directory.
  if (Result<> attached = attach("stage", root->get(), "/proc"); !attached) return attached;
  if (fchdir(root->get()) != 0 || sys::pivot_root(".", ".") != 0 || sys::umount2(".", MNT_DETACH) != 0) return failed();
  for (const char* directory : {kStageLayers, kStageUpper, kStageRoot, kStageFiles})
    if (mkdir(directory, 0755) != 0) return failed();
  for (int i = 0; i < kStageLayerCount; i++) {
    char path[32];
    snprintf(path, sizeof(path), "%s/%d", kStageLayers, i);
    if (mkdir(path, 0755) != 0) return failed();
  }
  if (sys::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) != 0)
    return failed();
  return {};
}

}  // namespace

Result<Stage> Stage::make() {
  UniqueFd home = own_mount_namespace();
  if (!home || unshare(CLONE_NEWNS) != 0) return failed();
  UniqueFd stage = own_mount_namespace();
  Result<> cleared = stage ? clear_namespace() : Result<>(failed());
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

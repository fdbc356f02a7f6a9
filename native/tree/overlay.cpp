#include "tree/overlay.h"

#include <fcntl.h>
#include <stdio.h>

#include "common/syscalls.h"

namespace plybox::tree {
namespace {

// Their names must find room in the 256 bytes of an option.
constexpr size_t kMostLayers = 80;

Result<UniqueFd> mount_of(int context) {
  if (sys::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return Failure::here("mount");
  UniqueFd mount(sys::fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
  if (!mount) return Failure::here("mount");
  return mount;
}

// Short names for directories, whatever is in their own.
class Names {
 public:
  static Result<Names> make() {
    UniqueFd context(sys::fsopen("tmpfs", FSOPEN_CLOEXEC));
    if (!context) return Failure::here("names");
    Result<UniqueFd> mount = mount_of(context.get());
    if (!mount) return mount.failure();
    if (fchdir(mount->get()) != 0) return Failure::here("names");
    return Names(mount.take());
  }
  // Relative to the working directory.
  Result<std::string> name(const std::string& path) {
    std::string name = std::to_string(count_++);
    if (symlink(path.c_str(), name.c_str()) != 0) return Failure::here("names");
    return name;
  }

 private:
  explicit Names(UniqueFd directory) : directory_(std::move(directory)) {}

  UniqueFd directory_;
  size_t count_ = 0;
};

Result<> set(int context, const char* option, const char* value) {
  unsigned command = value == nullptr ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
  if (sys::fsconfig(context, command, option, value, 0) != 0) return Failure::here("mount");
  return {};
}

}  // namespace

Result<UniqueFd> mount_overlay(const Overlay& overlay, Marks marks) {
  if (overlay.layers.empty() || overlay.layers.size() > kMostLayers) return Failure{"mount", EINVAL};
  Result<Names> names = Names::make();
  if (!names) return names.failure();
  std::string lower;
  for (const std::string& layer : overlay.layers) {
    Result<std::string> name = names->name(layer);
    if (!name) return name.failure();
    // Overlayfs names the topmost first.
    lower = lower.empty() ? *name : *name + ":" + lower;
  }
  UniqueFd context(sys::fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context) return Failure::here("mount");
  int fd = context.get();
  if (Result<> done = set(fd, "lowerdir", lower.c_str()); !done) return done.failure();
  if (!overlay.upper.empty()) {
    Result<std::string> upper = names->name(overlay.upper);
    if (!upper) return upper.failure();
    Result<std::string> work = names->name(overlay.work);
    if (!work) return work.failure();
    if (Result<> done = set(fd, "upperdir", upper->c_str()); !done) return done.failure();
    if (Result<> done = set(fd, "workdir", work->c_str()); !done) return done.failure();
  }
  if (marks == Marks::kUser)
    if (Result<> done = set(fd, "userxattr", nullptr); !done) return done.failure();
  return mount_of(fd);
}

}  // namespace plybox::tree

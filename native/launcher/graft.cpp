#include "launcher/graft.h"

#include <errno.h>
#include <linux/securebits.h>
#include <linux/stat.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

#include <algorithm>

#include "common/syscalls.h"
#include "launcher/grafted.h"
#include "launcher/mounts.h"
#include "launcher/targets.h"
#include "launcher/watch.h"

#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x00002000
#endif

namespace plybox {
namespace {

constexpr const char* kStep = "graft";
constexpr size_t kMaxPoints = 256;
// In a mount namespace of this process alone, where an overlay finds what it is made of. /proc is where every host that
// runs this has a directory.
constexpr const char* kScratch = "/proc";
constexpr const char* kLayer = "/proc/layer";
constexpr const char* kUpper = "/proc/upper";
constexpr const char* kLower = "/proc/lower";
constexpr const char* kOpaque = "trusted.overlay.opaque";
constexpr const char* kMarks = "trusted.overlay.";

Failure failed() { return Failure::here(kStep); }

// A point that is mounted, or about to be.
struct Point {
  UniqueFd parent;
  std::string name;
  bool made;       // the directory, by this call
  UniqueFd mount;  // once it is attached
};

class Graft {
 public:
  explicit Graft(const GraftPlan& plan) : plan_(plan) {}

  Result<> run();

 private:
  Result<> open_sandbox();
  Result<> open_parts();
  Result<> enter_scratch();
  Result<> add(const std::string& path, size_t number);
  Result<UniqueFd> make_target(const std::string& path, int source);
  Result<UniqueFd> make_overlay(const std::string& path, int source, size_t number);
  void take_back();

  const GraftPlan& plan_;
  UniqueFd sandbox_;  // its mount namespace
  UniqueFd scratch_;  // this process's own
  UniqueFd layer_;
  UniqueFd upper_;
  UniqueFd place_;  // the same as the host has it, with ids as they are on disk
  std::vector<Point> points_;
};

Result<> enter(const UniqueFd& name_space) {
  if (setns(name_space.get(), CLONE_NEWNS) != 0) return failed();
  return {};
}

Result<bool> is_mounted_on(int place) {
  struct statx status;
  if (syscall(SYS_statx, place, "", AT_EMPTY_PATH, STATX_TYPE, &status) != 0) return failed();
  return (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

// What overlayfs notes in them is about other file systems.
Result<> copy_attributes(int from, int to) {
  char names[65536];
  ssize_t length = flistxattr(from, names, sizeof(names));
  // An image that was packed without any.
  if (length < 0 && errno == EOPNOTSUPP) return {};
  if (length < 0) return failed();
  static char value[65536];
  for (const char* name = names; name < names + length; name += strlen(name) + 1) {
    if (strncmp(name, kMarks, strlen(kMarks)) == 0) continue;
    ssize_t size = fgetxattr(from, name, value, sizeof(value));
    if (size < 0 || fsetxattr(to, name, value, static_cast<size_t>(size), 0) != 0) return failed();
  }
  return {};
}

// Makes a directory what the layer's is: it will be the upper one of the two, whose owner, mode and times are shown.
Result<> make_alike(int source, int target) {
  struct stat status;
  if (fstat(source, &status) != 0 || fchown(target, status.st_uid, status.st_gid) != 0 ||
      fchmod(target, status.st_mode & 07777) != 0)
    return failed();
  if (Result<> copied = copy_attributes(source, target); !copied) return copied;
  const timespec times[] = {status.st_atim, status.st_mtim};
  if (futimens(target, times) != 0) return failed();
  return {};
}

Result<> Graft::open_sandbox() {
  Result<UniqueFd> process = open_process(plan_.pid, plan_.start_time);
  if (!process) return process.failure();
  char path[40];
  snprintf(path, sizeof(path), "/proc/%d/ns/mnt", plan_.pid);
  sandbox_.reset(open(path, O_RDONLY | O_CLOEXEC));
  // Asked again: what bore the pid when the namespace was opened was the process still.
  if (!sandbox_ || sys::pidfd_send_signal(process->get(), 0) != 0) return failed();
  return {};
}

// As a launch opens them: ids on disk are presented as the sandbox's.
Result<> Graft::open_parts() {
  Result<UniqueFd> ids = make_user_namespace(plan_.ids, plan_.ids);
  if (!ids) return ids.failure();
  Result<UniqueFd> layer = copy_mount(kStep, AT_FDCWD, plan_.layer.path.c_str(), AT_SYMLINK_NOFOLLOW);
  if (!layer) return layer.failure();
  Result<UniqueFd> upper = copy_mount(kStep, AT_FDCWD, plan_.upper.c_str(), 0);
  if (!upper) return upper.failure();
  place_.reset(open(plan_.upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!place_) return failed();
  if (plan_.layer.idmap)
    if (Result<> mapped = idmap_mount(kStep, layer->get(), ids->get()); !mapped) return mapped;
  if (Result<> mapped = idmap_mount(kStep, upper->get(), ids->get()); !mapped) return mapped;
  layer_ = layer.take();
  upper_ = upper.take();
  return {};
}

Result<> Graft::enter_scratch() {
  if (unshare(CLONE_NEWNS) != 0 || sys::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return failed();
  scratch_.reset(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  const char* const options[] = {"mode", "0755", "size", "65536", nullptr};
  Result<UniqueFd> room = make_mount(kStep, "tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, options);
  if (!scratch_ || !room) return failed();
  if (Result<> attached = attach(kStep, room->get(), kScratch); !attached) return attached;
  for (const char* directory : {kLayer, kUpper, kLower})
    if (mkdir(directory, 0755) != 0) return failed();
  if (Result<> attached = attach(kStep, layer_.get(), kLayer); !attached) return attached;
  return attach(kStep, upper_.get(), kUpper);
}

// The directory in the sandbox, made where it is missing. Whatever is mounted on it is what is opened.
Result<UniqueFd> Graft::make_target(const std::string& path, int source) {
  size_t slash = path.rfind('/');
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  UniqueFd parent(sys::openat2(AT_FDCWD, slash == 0 ? "/" : path.substr(0, slash).c_str(), how));
  if (!parent) return failed();
  Point point{std::move(parent), path.substr(slash + 1), false, UniqueFd()};
  point.made = mkdirat(point.parent.get(), point.name.c_str(), 0700) == 0;
  if (!point.made && errno != EEXIST) return failed();
  UniqueFd target(openat(point.parent.get(), point.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  bool made = point.made;
  points_.push_back(std::move(point));
  if (!target) return failed();
  if (made)
    if (Result<> alike = make_alike(source, target.get()); !alike) return alike.failure();
  return target;
}

Result<UniqueFd> Graft::make_overlay(const std::string& path, int source, size_t number) {
  std::string above = "upper" + path;
  UniqueFd upper = open_beneath(upper_.get(), above);
  if (!upper) return failed();
  std::string name = plan_.work + "." + std::to_string(number);
  std::string work = "live/" + name;
  for (const std::string& directory : {std::string("live"), work})
    if (mkdirat(upper_.get(), directory.c_str(), 0700) != 0 && errno != EEXIST) return failed();
  if (Result<> noted = note_grafted(place_.get(), name, path); !noted) return noted.failure();
  // Overlayfs marks what is made where no layer had it, so that it would hide the layer from the next start on.
  if (fremovexattr(upper.get(), kOpaque) != 0 && errno != ENODATA) return failed();

  Result<UniqueFd> lower = copy_mount(kStep, source, "", AT_EMPTY_PATH);
  if (!lower) return lower.failure();
  if (Result<> attached = attach(kStep, lower->get(), kLower); !attached) return attached.failure();
  // Named from where the upper is, a name of any bytes and length but that of the way back needs no escaping.
  if (fchdir(upper.get()) != 0) return failed();
  std::string up;
  for (char c : above)
    if (c == '/') up += "../";
  work = up + "../" + work;
  const char* const options[] = {"source", "plybox",  "lowerdir",   kLower, "upperdir",
                                 ".",      "workdir", work.c_str(), nullptr};
  unsigned attributes = MOUNT_ATTR_NODEV | (plan_.setuid ? 0 : MOUNT_ATTR_NOSUID);
  Result<UniqueFd> overlay = make_mount(kStep, "overlay", attributes, options);
  // It has a copy of its own by now.
  if (sys::umount2(kLower, MNT_DETACH) != 0) return failed();
  return overlay;
}

Result<> Graft::add(const std::string& path, size_t number) {
  UniqueFd source = open_beneath(layer_.get(), path.substr(1));
  if (!source) return failed();
  if (Result<> entered = enter(sandbox_); !entered) return entered;
  Result<UniqueFd> target = make_target(path, source.get());
  if (!target) return target.failure();
  Result<bool> mounted = is_mounted_on(target->get());
  if (!mounted) return mounted.failure();
  if (*mounted) return {};
  if (Result<> entered = enter(scratch_); !entered) return entered;
  Result<UniqueFd> overlay = make_overlay(path, source.get(), number);
  if (!overlay) return overlay.failure();
  if (Result<> entered = enter(sandbox_); !entered) return entered;
  if (Result<> attached = attach_over(kStep, overlay->get(), target->get()); !attached) return attached;
  points_.back().mount = overlay.take();
  return {};
}

// Newest first: one may lie in another.
void Graft::take_back() {
  if (!enter(sandbox_)) return;
  for (auto point = points_.rbegin(); point != points_.rend(); ++point) {
    if (point->mount && fchdir(point->mount.get()) == 0) (void)sys::umount2(".", MNT_DETACH);
    if (point->made) (void)unlinkat(point->parent.get(), point->name.c_str(), AT_REMOVEDIR);
  }
}

Result<> Graft::run() {
  if (Result<> opened = open_sandbox(); !opened) return opened;
  if (Result<> opened = open_parts(); !opened) return opened;
  if (Result<> entered = enter_scratch(); !entered) return entered;
  // What is made belongs to root inside. The capabilities stay: without this bit the kernel drops those over files.
  if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) != 0) return failed();
  umask(0);
  setfsgid(plan_.ids.outside);
  setfsuid(plan_.ids.outside);
  for (size_t i = 0; i < plan_.points.size(); i++) {
    Result<> added = add(plan_.points[i], i);
    if (added) continue;
    take_back();
    return added;
  }
  return {};
}

}  // namespace

GraftPlan read_graft(JsonObject& request) {
  GraftPlan plan{};
  plan.pid = static_cast<pid_t>(request.integer("pid", 1, INT32_MAX));
  plan.start_time = request.integer("startTime", 0, UINT64_MAX);
  JsonObject layer = request.object("layer");
  plan.layer = {read_path(layer, "path"), layer.boolean("idmap")};
  layer.finish();
  plan.upper = read_path(request, "upper");
  plan.work = request.string("work", 100);
  if (plan.work.empty() || plan.work.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz-") != std::string::npos)
    request.refuse("work", "is not a name of a-z, 0-9 and -");
  JsonObject ids = request.object("ids");
  plan.ids = {0, static_cast<uint32_t>(ids.integer("base", 1, 0xfffeffff)),
              static_cast<uint32_t>(ids.integer("count", 1, 65536))};
  ids.finish();
  plan.setuid = request.boolean("setuid");
  for (std::string_view point : request.array("points").strings()) plan.points.emplace_back(point);
  bool normal = std::all_of(plan.points.begin(), plan.points.end(),
                            [](const std::string& path) { return is_normal_path(path) && path != "/"; });
  if (plan.points.empty() || plan.points.size() > kMaxPoints || !normal)
    request.refuse("points", "does not hold 1 to 256 absolute and normal paths");
  return plan;
}

Result<> graft(const GraftPlan& plan) { return Graft(plan).run(); }

}  // namespace plybox

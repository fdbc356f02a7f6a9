#include "launcher/probe.h"

#include <errno.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "common/syscalls.h"
#include "launcher/landlock.h"
#include "launcher/mounts.h"
#include "launcher/user-namespace.h"

namespace plybox {
namespace {

Result<> probe_idmap(const std::string& path) {
  Result<UniqueFd> user = make_user_namespace({0, 100000, 1}, {0, 100000, 1});
  if (!user) return user.failure();
  Result<UniqueFd> copy = copy_mount("copy-mount", AT_FDCWD, path.c_str(), 0);
  if (!copy) return copy.failure();
  return idmap_mount("idmap", copy->get(), user->get());
}

// Runs `action` in a child with these namespaces of its own, so that whatever it mounts goes with it.
Result<> in_child(uint64_t namespaces, const char* step, bool (*action)()) {
  sys::CloneArgs args;
  args.flags = namespaces;
  pid_t pid = sys::clone3(args);
  if (pid == 0) _exit(action() ? 0 : errno & 0xff);
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid) return Failure::here(step);
  if (status == 0) return {};
  return Failure{step, WIFEXITED(status) ? WEXITSTATUS(status) : EINTR};
}

Result<> probe_namespaces(const std::string&) {
  return in_child(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP,
                  "namespaces", enter_user_namespace);
}

// The kernel lets nobody but the machine's root mount these where something of them is hidden, as containers do.
bool mount_pseudo_files() {
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  return sys::mount("plybox", "/proc", "proc", kFlags, nullptr) == 0 &&
         sys::mount("plybox", "/sys", "sysfs", kFlags | MS_RDONLY, nullptr) == 0;
}

Result<> probe_rootless_namespaces(const std::string& path) {
  if (Result<> made = probe_namespaces(path); !made) return made;
  return in_child(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET, "proc-and-sys", mount_pseudo_files);
}

// A tmpfs with the directories of an overlay, in place of /proc, which is the current directory then.
bool make_overlay_place() {
  if (sys::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (sys::mount("plybox", "/proc", "tmpfs", 0, nullptr) != 0 || chdir("/proc") != 0) return false;
  for (const char* name : {"lower", "upper", "work", "root"})
    if (mkdir(name, 0755) != 0) return false;
  return true;
}

Result<> probe_overlay(const std::string&) {
  return in_child(CLONE_NEWNS, "overlay", [] {
    return make_overlay_place() &&
           sys::mount("plybox", "root", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") == 0;
  });
}

// Without the machine's root, overlayfs keeps its notes in attributes of users, and the upper has to take these.
Result<> probe_rootless_overlay(const std::string&) {
  return in_child(CLONE_NEWNS, "overlay", [] {
    return make_overlay_place() && setxattr("upper", "user.plybox", "", 0, 0) == 0 &&
           sys::mount("plybox", "root", "overlay", 0, "userxattr,lowerdir=lower,upperdir=upper,workdir=work") == 0;
  });
}

Result<> probe_loop(const std::string&) {
  UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control || ioctl(control.get(), LOOP_CTL_GET_FREE) < 0) return Failure::here("loop");
  return {};
}

Result<> probe_landlock(const std::string&) {
  if (landlock_version() == 0) return Failure{"landlock", ENOSYS};
  return {};
}

struct Probe {
  const char* what;
  Result<> (*run)(const std::string& path);
};
// What replaces a probe for a launcher that is root of a namespace alone.
constexpr Probe kRootlessProbes[] = {{"overlay", probe_rootless_overlay}, {"namespaces", probe_rootless_namespaces}};
constexpr Probe kProbes[] = {
    {"idmap", probe_idmap}, {"overlay", probe_overlay},   {"namespaces", probe_namespaces},
    {"loop", probe_loop},   {"landlock", probe_landlock},
};

const Probe* find(const std::string& what) {
  for (const Probe& entry : kProbes)
    if (what == entry.what) return &entry;
  return nullptr;
}

}  // namespace

bool is_probe(const std::string& what) { return find(what) != nullptr; }

Result<> probe(const std::string& what, const std::string& path, bool rootless) {
  if (rootless)
    for (const Probe& entry : kRootlessProbes)
      if (what == entry.what) return entry.run(path);
  return find(what)->run(path);
}

}  // namespace plybox

#include "launcher/probe.h"

#include <errno.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "common/syscalls.h"
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

Result<> probe_overlay(const std::string&) {
  return in_child(CLONE_NEWNS, "overlay", [] {
    if (sys::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
    if (sys::mount("plybox", "/proc", "tmpfs", 0, nullptr) != 0 || chdir("/proc") != 0) return false;
    for (const char* name : {"lower", "upper", "work", "root"})
      if (mkdir(name, 0755) != 0) return false;
    return sys::mount("plybox", "root", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") == 0;
  });
}

Result<> probe_loop(const std::string&) {
  UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control || ioctl(control.get(), LOOP_CTL_GET_FREE) < 0) return Failure::here("loop");
  return {};
}

struct Probe {
  const char* what;
  Result<> (*run)(const std::string& path);
};
constexpr Probe kProbes[] = {
    {"idmap", probe_idmap},
    {"overlay", probe_overlay},
    {"namespaces", probe_namespaces},
    {"loop", probe_loop},
};

const Probe* find(const std::string& what) {
  for (const Probe& entry : kProbes)
    if (what == entry.what) return &entry;
  return nullptr;
}

}  // namespace

bool is_probe(const std::string& what) { return find(what) != nullptr; }

Result<> probe(const std::string& what, const std::string& path) { return find(what)->run(path); }

}  // namespace plybox

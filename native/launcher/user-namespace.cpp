#include "launcher/user-namespace.h"

#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/syscalls.h"

namespace plybox {
namespace {

bool write_map(pid_t pid, const char* file, IdMap map) {
  char path[64];
  char line[128];
  snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
  // In a user's own namespace 0 is the user, and what follows comes from elsewhere: no extent may lie across the two.
  int length = map.outside == 0 && map.count > 1
                   ? snprintf(line, sizeof(line), "%u 0 1\n%u 1 %u\n", map.inside, map.inside + 1, map.count - 1)
                   : snprintf(line, sizeof(line), "%u %u %u\n", map.inside, map.outside, map.count);
  UniqueFd fd(open(path, O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), line, static_cast<size_t>(length)) == length;
}

}  // namespace

// Whoever makes a cgroup namespace may mount the hierarchies with its own cgroup for their root: a command could change
// the limits that the agent has set for it, and make memory cgroups until the kernel has no more ids for them.
bool enter_user_namespace() {
  if (unshare(CLONE_NEWUSER) != 0) return false;
  UniqueFd fd(open("/proc/sys/user/max_cgroup_namespaces", O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), "0", 1) == 1;
}

bool write_id_maps(pid_t pid, IdMap uids, IdMap gids) {
  return write_map(pid, "uid_map", uids) && write_map(pid, "gid_map", gids);
}

Result<UniqueFd> make_user_namespace(IdMap uids, IdMap gids) {
  sys::CloneArgs args;
  args.flags = CLONE_NEWUSER;
  pid_t pid = sys::clone3(args);
  // The child exists only for its namespace to be mapped and opened through /proc.
  if (pid == 0)
    for (;;) pause();
  if (pid < 0) return Failure::here("user-namespace");

  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
  bool mapped = write_id_maps(pid, uids, gids);
  UniqueFd fd(mapped ? open(path, O_RDONLY | O_CLOEXEC) : -1);
  Failure failure = Failure::here("user-namespace");
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  if (!fd) return failure;
  return fd;
}

}  // namespace plybox

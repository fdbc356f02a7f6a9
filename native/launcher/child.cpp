#include "launcher/child.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/memfd.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/syscalls.h"
#include "launcher/landlock.h"
#include "launcher/mounts.h"
#include "launcher/pseudo-files.h"
#include "launcher/stage.h"
#include "launcher/targets.h"

namespace plybox {
namespace {

struct Child : Start {
  UniqueFd filter{};  // of commands
};

// What the agent itself may have open beside what its commands may: their pipes, its connections.
constexpr uint64_t kAgentFiles = 4096;

// A daemon that is spared where memory is short does not spare its sandboxes: written with the right to it, this is
// also the least that they may have themselves.
void give_up_oom_sparing() {
  UniqueFd fd(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (fd) (void)!write(fd.get(), "0", 1);
}

// The agent sets its commands' own limits; these are what they cannot be raised above from inside. A dump of what runs
// inside would be the host's to keep.
Result<> limit_resources(Child& child) {
  give_up_oom_sparing();
  const rlimit no_core{0, 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) return Failure::here("resources");
  rlimit files{child.plan.open_files + kAgentFiles, child.plan.open_files + kAgentFiles};
  if (setrlimit(RLIMIT_NOFILE, &files) == 0) return {};
  // Who is not root may have no more than it was given.
  if (errno != EPERM || getrlimit(RLIMIT_NOFILE, &files) != 0) return Failure::here("resources");
  files.rlim_cur = files.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &files) != 0) return Failure::here("resources");
  return {};
}

Result<> mount_root(Child& child) {
  const Prepared& prepared = child.prepared;
  std::string lower;
  for (size_t i = 0; i < prepared.layers.size(); i++) {
    char path[32];
    snprintf(path, sizeof(path), "%s/%zu", kStageLayers, i);
    if (Result<> attached = attach("overlay", prepared.layers[i].get(), path); !attached) return attached;
    // Overlayfs names the topmost layer first. Relative names keep 64 layers within the 256 bytes of an option.
    snprintf(path, sizeof(path), "%zu", i);
    lower = lower.empty() ? path : std::string(path) + ":" + lower;
  }
  if (Result<> attached = attach("overlay", prepared.upper.get(), kStageUpper); !attached) return attached;
  if (chdir(kStageLayers) != 0) return Failure::here("overlay");
  // What overlayfs notes in trusted attributes needs the machine's root; without, it takes those of users.
  const char* const options[] = {"source",
                                 "plybox",
                                 "lowerdir",
                                 lower.c_str(),
                                 "upperdir",
                                 "/upper/upper",
                                 "workdir",
                                 "/upper/work",
                                 prepared.ground.rootless ? "userxattr" : nullptr,
                                 "",
                                 nullptr};
  unsigned attributes = MOUNT_ATTR_NODEV | (child.plan.no_new_privileges ? MOUNT_ATTR_NOSUID : 0);
  Result<UniqueFd> root = make_mount("overlay", "overlay", attributes, options);
  if (!root) return root.failure();
  if (Result<> attached = attach("overlay", root->get(), kStageRoot); !attached) return attached;
  // The steps below name what is inside relative to here.
  if (chdir(kStageRoot) != 0) return Failure::here("overlay");
  return {};
}

Result<> move_step(Child&) { return move_pseudo_files(kStageMade); }
Result<> mount_shm_step(Child& child) { return mount_shm(child.plan.shm_bytes); }

Result<UniqueFd> inside_root(const char* step) {
  UniqueFd root(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return Failure::here(step);
  return root;
}

Result<> mount_binds(Child& child) {
  Result<UniqueFd> root = inside_root("binds");
  if (!root) return root.failure();
  for (const PreparedBind& bind : child.prepared.binds) {
    Result<UniqueFd> target = open_target("binds", root->get(), bind.target, bind.directory);
    if (!target) return target.failure();
    if (Result<> attached = attach_over("binds", bind.mount.get(), target->get()); !attached) return attached;
    for (const PreparedBind::Hidden& hidden : bind.hidden)
      if (Result<> covered = cover("binds", hidden.place.get(), hidden.directory); !covered) return covered;
    child.record.bind++;
  }
  return {};
}

// Each file lies on a tmpfs that no path leads to, and is bound over its place: no upper, so no snapshot, holds it.
Result<> mount_files(Child& child) {
  if (child.plan.files.empty()) return {};
  Result<UniqueFd> root = inside_root("files");
  if (!root) return root.failure();
  const char* const options[] = {"mode", "0755", "size", "4194304", nullptr};
  Result<UniqueFd> store = make_mount("files", "tmpfs", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, options);
  if (!store) return store.failure();
  if (Result<> attached = attach("files", store->get(), kStageFiles); !attached) return attached;
  int number = 0;
  for (const FilePlan& file : child.plan.files) {
    char name[16];
    snprintf(name, sizeof(name), "%d", number++);
    UniqueFd fd(openat(store->get(), name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
    ssize_t length = static_cast<ssize_t>(file.content.size());
    if (!fd || write(fd.get(), file.content.data(), file.content.size()) != length) return Failure::here("files");
    Result<UniqueFd> copy = copy_mount("files", store->get(), name, 0);
    if (!copy) return copy.failure();
    Result<UniqueFd> target = open_target("files", root->get(), file.path, false);
    if (!target) return target.failure();
    if (Result<> attached = attach_over("files", copy->get(), target->get()); !attached) return attached;
  }
  return {};
}

Result<> set_hostname(Child& child) {
  if (sethostname(child.plan.hostname.data(), child.plan.hostname.size()) != 0) return Failure::here("hostname");
  return {};
}

Result<> pivot(Child&) {
  // The old root ends up over the new one and is taken off from there. MNT_DETACH takes its layers along.
  if (sys::pivot_root(".", ".") != 0 || sys::umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
    return Failure::here("pivot");
  return {};
}

// The agent reads it from there: what it is started with holds no binary values.
Result<> write_filter(Child& child) {
  const std::string& filter = child.plan.seccomp.commands;
  if (filter.empty()) return {};
  child.filter.reset(sys::memfd_create("filter", MFD_CLOEXEC));
  if (!child.filter ||
      pwrite(child.filter.get(), filter.data(), filter.size(), 0) != static_cast<ssize_t>(filter.size()))
    return Failure::here("descriptors");
  return {};
}

// Standard streams on /dev/null, the agent's descriptors at their numbers, everything else closed by exec.
Result<> arrange_descriptors(Child& child) {
  const JoinedCgroups& cgroups = child.prepared.ground.cgroups;
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return Failure::here("descriptors");
  if (Result<> written = write_filter(child); !written) return written;
  struct Place {
    int from;
    int to;
  };
  // Copies above the range first, so that no source is overwritten before it is placed.
  Place places[] = {{null, 0},
                    {null, 1},
                    {null, 2},
                    {child.prepared.socket.get(), kListenFd},
                    {cgroups.track, kTrackFd},
                    {cgroups.memory, kMemoryFd},
                    {child.filter.get(), kFilterFd},
                    {child.prepared.referenced.get(), kReferencedFd},
                    {child.prepared.reserved.get(), kReservedFd}};
  for (Place& place : places)
    if (place.from >= 0 && (place.from = fcntl(place.from, F_DUPFD_CLOEXEC, 64)) < 0)
      return Failure::here("descriptors");
  child.agent = fcntl(child.agent, F_DUPFD_CLOEXEC, 64);
  int user_namespace = fcntl(child.prepared.ground.namespaces.user.get(), F_DUPFD_CLOEXEC, 64);
  if (child.agent < 0 || user_namespace < 0) return Failure::here("descriptors");
  for (const Place& place : places)
    if (place.from >= 0 && dup2(place.from, place.to) < 0) return Failure::here("descriptors");
  // An unused number must not keep what happened to be there.
  for (const Place& place : places)
    if (place.from < 0) close(place.to);
  if (sys::close_range(kFirstOtherFd, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return Failure::here("descriptors");
  if (setns(user_namespace, CLONE_NEWUSER) != 0) return Failure::here("user");
  return {};
}

Result<> become_root_inside(Child& child) {
  // A keyring of the host's session would be found through the process otherwise. A kernel without keyrings, or a
  // filter around all of this that refuses the call, keeps them from whatever runs inside too.
  bool kept_keyring =
      syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0 && errno != ENOSYS && errno != EPERM;
  if (kept_keyring) return Failure::here("user");
  // With a single id there is no right to it: docs/decisions/0009.
  // The library's own functions would change the ids of every thread, and look for the launcher's.
  bool kept = syscall(SYS_setgroups, 0, nullptr) != 0 &&
              !(child.prepared.ground.rootless && child.plan.id_count == 1 && errno == EPERM);
  if (kept || syscall(SYS_setresgid, 0, 0, 0) != 0 || syscall(SYS_setresuid, 0, 0, 0) != 0)
    return Failure::here("user");
  return {};
}

Result<> fence_in_step(Child& child) {
  using Kind = FencePlace::Kind;
  UniqueFd root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return Failure::here("landlock");
  // A queue is opened on a mount of the kernel's own, which is not below the root; the files are the same.
  UniqueFd queues(open("/dev/mqueue", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const JoinedCgroups& cgroups = child.prepared.ground.cgroups;
  return fence_in(child.plan.landlock, {{root.get(), Kind::kFiles},
                                        {queues.get(), Kind::kFiles},
                                        {cgroups.track >= 0 ? kTrackFd : -1, Kind::kCgroup},
                                        {cgroups.memory >= 0 ? kMemoryFd : -1, Kind::kCgroup}});
}

Result<> set_capabilities(uint64_t capabilities) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  uint32_t low = static_cast<uint32_t>(capabilities);
  uint32_t high = static_cast<uint32_t>(capabilities >> 32);
  __user_cap_data_struct sets[2] = {{low, low, 0}, {high, high, 0}};
  if (syscall(SYS_capset, &header, sets) != 0) return Failure::here("capabilities");
  return {};
}

// Where programs may gain privileges, only a process with this capability may install a filter.
uint64_t held_for_filter(const LaunchPlan& plan) {
  bool needed = !plan.seccomp.sandbox.empty() && !plan.no_new_privileges;
  return needed ? uint64_t{1} << CAP_SYS_ADMIN : 0;
}

Result<> drop_capabilities(Child& child) {
  for (int capability = 0;; capability++) {
    if (prctl(PR_CAPBSET_READ, capability) < 0) break;  // beyond the kernel's last
    bool keep = (child.plan.capabilities >> capability & 1) != 0;
    if (!keep && prctl(PR_CAPBSET_DROP, capability) != 0) return Failure::here("capabilities");
  }
  return set_capabilities(child.plan.capabilities | held_for_filter(child.plan));
}

Result<> confine(Child& child) {
  if (child.plan.die_with_launcher && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return Failure::here("confine");
  if (child.plan.no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failure::here("confine");
  signal(SIGPIPE, SIG_DFL);
  umask(022);
  return {};
}

Result<> install_filter(Child& child) {
  const std::string& filter = child.plan.seccomp.sandbox;
  if (filter.empty()) return {};
  sock_fprog program{static_cast<unsigned short>(filter.size() / sizeof(sock_filter)),
                     reinterpret_cast<sock_filter*>(const_cast<char*>(filter.data()))};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) return Failure::here("seccomp");
  return held_for_filter(child.plan) == 0 ? Result<>() : set_capabilities(child.plan.capabilities);
}

Result<> enter_agent(Child& child) {
  sys::execveat(child.agent, "", child.command.arguments(), child.command.environment(), AT_EMPTY_PATH);
  return Failure::here("agent");
}

struct ChildStep {
  const char* name;
  Result<> (*run)(Child&);
};

// In this order, because:
constexpr ChildStep kSteps[] = {
    {"overlay", mount_root},
    {"move", move_step},
    {"shm", mount_shm_step},
    {"binds", mount_binds},  // after the pseudo files, which a bind may not cover unseen
    {"files", mount_files},  // after the binds, which may bring the directory that a file lies in
    {"hostname", set_hostname},
    {"pivot", pivot},                      // after the last mount: the stage is gone with it
    {"resources", limit_resources},        // after the pivot, for /proc; while there is the right to raise limits
    {"descriptors", arrange_descriptors},  // after the pivot: /dev/null is the sandbox's; ends in the user namespace
    {"user", become_root_inside},          // the first step without the host's privileges
    {"landlock", fence_in_step},           // after all that reaches out of the root; needs CAP_SYS_ADMIN inside
    {"capabilities", drop_capabilities},   // after the ids, which need CAP_SETUID
    {"confine", confine},                  // a change of ids clears the death signal
    {"seccomp", install_filter},           // last: of the steps above hardly one would pass it
};

}  // namespace

void become_agent(const Start& start) {
  Child child{start};
  start.record.bind = 0;
  for (const ChildStep& step : kSteps)
    if (!start.record.run(step.name, start.plan.fail_at, [&] { return step.run(child); })) return;
  start.record.run("agent", start.plan.fail_at, [&] { return enter_agent(child); });
}

}  // namespace plybox

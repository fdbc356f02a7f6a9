#include "launcher/ground.h"

#include <errno.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>

#include "common/syscalls.h"
#include "launcher/pseudo-files.h"
#include "launcher/stage.h"

namespace plybox {
namespace {

// Entered by the child: the network and, last, the user namespace, which were made before, and the cgroup namespace,
// which must come after the cgroups are joined.
constexpr uint64_t kLaterNamespaces = CLONE_NEWUSER | CLONE_NEWCGROUP | CLONE_NEWNET;
constexpr unsigned kTtyGroup = 5;

struct Laying {
  const Ground& ground;
  const PreparedGround& prepared;
};

Result<> join_cgroup(const Laying& laying) {
  if (Result<> joined = join_cgroups(laying.prepared.cgroups); !joined) return joined;
  if ((laying.ground.namespaces & CLONE_NEWCGROUP) != 0 && unshare(CLONE_NEWCGROUP) != 0)
    return Failure::here("join-cgroup");
  return {};
}

Result<> enter_network(const Laying& laying) {
  if ((laying.ground.namespaces & CLONE_NEWNET) == 0) return {};
  if (setns(laying.prepared.namespaces.network.get(), CLONE_NEWNET) != 0) return Failure::here("network");
  return {};
}

// Files that are made from here on belong to root inside. The capabilities stay: without this bit the kernel drops
// those over files from a process whose fsuid is not 0.
Result<> act_as_owner(const Laying& laying) {
  if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP) != 0) return Failure::here("owner");
  umask(0);
  setfsgid(laying.ground.id_base);
  setfsuid(laying.ground.id_base);
  return {};
}

// The steps below name what they make relative to here.
Result<> mount_dev_step(const Laying& laying) {
  if (chdir(kStageMade) != 0) return Failure::here("dev");
  // The group may be one that the sandbox does not have.
  unsigned group = kTtyGroup < laying.ground.id_count ? kTtyGroup : 0;
  bool own_queues = (laying.ground.namespaces & CLONE_NEWIPC) != 0;
  return mount_dev({laying.ground.id_base + group, laying.prepared.rootless, own_queues});
}
// Group ids are those of the launcher's namespace: every group of every sandbox may.
Result<> mount_proc_step(const Laying& laying) {
  return mount_proc(laying.prepared.rootless ? laying.ground.id_base + laying.ground.id_count - 1 : INT32_MAX);
}
Result<> mount_sys_step(const Laying&) { return mount_sys(); }

struct LayingStep {
  const char* name;
  Result<> (*run)(const Laying&);
};

// In this order, because:
constexpr LayingStep kLayingSteps[] = {
    {"join-cgroup", join_cgroup},  // first, so that what the kernel takes for it is charged to the sandbox
    {"network", enter_network},    // before /proc and /sys, which show the network of who mounts them
    {"owner", act_as_owner},       // before anything is made that root inside shall own
    {"dev", mount_dev_step},       // before proc, whose masks are its null device
    {"proc", mount_proc_step},    {"sys", mount_sys_step},
};

}  // namespace

bool prepare_ground(const Ground& ground, Spare& spare, PreparedGround& prepared, std::string_view fail_at,
                    StepRecord& record) {
  auto take_namespaces = [&]() -> Result<> {
    Result<Namespaces> taken = spare.take({0, ground.id_base, ground.id_count});
    if (!taken) return taken.failure();
    prepared.namespaces = taken.take();
    return {};
  };
  auto take_cgroups = [&]() -> Result<> {
    Result<JoinedCgroups> made = make_cgroups(ground.cgroups, ground.id_base);
    if (!made) return made.failure();
    prepared.cgroups = made.take();
    return {};
  };
  return record.run("namespaces", fail_at, take_namespaces) && record.run("cgroup", fail_at, take_cgroups);
}

void Cloned::reap() const {
  if (pid > 0) waitpid(pid, nullptr, 0);
}

Cloned clone_onto(const Ground& ground, const PreparedGround& prepared, uint64_t flags, Stack stack,
                  int (*child)(void*), void* argument) {
  int pidfd = -1;
  sys::CloneArgs args;
  // As by vfork: the child borrows the launcher's memory, of which it copies nothing.
  args.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | flags | (ground.namespaces & ~kLaterNamespaces);
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  if (prepared.cgroups.into >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(prepared.cgroups.into);
  }
  int dumpable = prctl(PR_GET_DUMPABLE);
  pid_t pid = clone_on(stack, args, child, argument);
  int error = errno;
  // What the child did to its ids has made this memory one that nobody may look at.
  prctl(PR_SET_DUMPABLE, dumpable);
  errno = error;
  return {pid, UniqueFd(pidfd)};
}

bool lay_ground(const Ground& ground, const PreparedGround& prepared, std::string_view fail_at, StepRecord& record) {
  Laying laying{ground, prepared};
  for (const LayingStep& step : kLayingSteps)
    if (!record.run(step.name, fail_at, [&] { return step.run(laying); })) return false;
  return true;
}

bool is_of_ground(std::string_view step) {
  for (const char* name : {"namespaces", "cgroup", "clone"})
    if (step == name) return true;
  for (const LayingStep& entry : kLayingSteps)
    if (step == entry.name) return true;
  return false;
}

bool is_same_ground(const Ground& one, const Ground& other) {
  if (one.id_base != other.id_base || one.id_count != other.id_count || one.namespaces != other.namespaces)
    return false;
  return std::equal(one.cgroups.begin(), one.cgroups.end(), other.cgroups.begin(), other.cgroups.end(),
                    [](const CgroupPlan& a, const CgroupPlan& b) {
                      return a.path == b.path && a.version == b.version && a.track == b.track && a.memory == b.memory;
                    });
}

}  // namespace plybox

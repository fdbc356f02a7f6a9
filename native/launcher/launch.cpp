#include "launcher/launch.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/clone-on.h"
#include "common/syscalls.h"
#include "launcher/child.h"

namespace plybox {
namespace {

// Entered by the child: the network and, last, the user namespace, which were made ahead, and the cgroup namespace,
// which must come after the cgroups are joined.
constexpr uint64_t kLaterNamespaces = CLONE_NEWUSER | CLONE_NEWCGROUP | CLONE_NEWNET;

struct Start {
  const LaunchPlan& plan;
  const Prepared& prepared;
  const AgentCommand& command;
  int agent;
  StepRecord& record;
  uint64_t begin;
  size_t clone_slot;
};

int run_child(void* argument) {
  Start& start = *static_cast<Start*>(argument);
  start.record.steps[start.clone_slot].ns = StepRecord::now() - start.begin;
  become_agent(start.plan, start.prepared, start.command, start.agent, start.record);
  _exit(1);
}

constexpr size_t kStackBytes = 256 << 10;
constexpr size_t kGuardBytes = 64 << 10;

// Used by one child at a time: the launcher waits for it. Below lies what nobody may touch, so that a child which needs
// more ends by that and does no harm. Null where there is no memory.
char* child_stack() {
  static char* bottom = nullptr;
  if (bottom != nullptr) return bottom;
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  char* above = static_cast<char*>(memory) + kGuardBytes;
  if (mprotect(above, kStackBytes, PROT_READ | PROT_WRITE) != 0) return nullptr;
  return bottom = above;
}

}  // namespace

Result<> Launcher::prepare(const LaunchPlan& plan, Preparation& preparation) {
  record_ = StepRecord{};
  preparation.prepared.rootless = rootless_;
  if (!prepare_on_host(plan, spare_, preparation.prepared, preparation.traces, record_))
    return Failure{record_.failed_step, record_.error};
  return {};
}

Result<Launched> Launcher::start(const LaunchPlan& plan, Preparation& preparation) {
  const Prepared& prepared = preparation.prepared;
  AgentCommand command(plan, prepared.cgroups);

  uint64_t begin = StepRecord::now();
  char* stack = child_stack();
  if (stack == nullptr) return Failure::here("clone");
  if (Result<> entered = stage_.enter(); !entered) return entered.failure();
  int pidfd = -1;
  int dumpable = prctl(PR_GET_DUMPABLE);
  sys::CloneArgs args;
  // As by vfork: the child borrows the launcher's memory, of which it copies nothing, and the launcher goes on when the
  // child has become the agent or has failed; the record says which.
  args.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | (plan.namespaces & ~kLaterNamespaces);
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  if (prepared.cgroups.into) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(prepared.cgroups.into.get());
  }
  size_t clone_slot = record_.count;
  record_.add("clone", 0);
  Start start{plan, prepared, command, agent_.get(), record_, begin, clone_slot};
  pid_t pid = plan.fail_at == "clone" ? (errno = EIO, -1) : clone_on({stack, kStackBytes}, args, run_child, &start);
  Failure clone_failure = Failure::here("clone");
  // What the child did to its ids has made this memory one that nobody may look at.
  prctl(PR_SET_DUMPABLE, dumpable);
  UniqueFd owned_pidfd(pidfd);
  if (Result<> left = stage_.leave(); !left) abort();  // on the stage there is nothing a launcher could serve
  if (pid < 0) {
    record_.fail(clone_failure);
    return clone_failure;
  }
  if (record_.failed_step != nullptr) {
    waitpid(pid, nullptr, 0);
    return Failure{record_.failed_step, record_.error};
  }
  preparation.traces.keep();
  return Launched{pid, process_start_time(pid), std::move(owned_pidfd)};
}

uint64_t process_start_time(pid_t pid) {
  char path[32];
  char text[1024];
  snprintf(path, sizeof(path), "/proc/%d/stat", pid);
  UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  ssize_t length = fd ? read(fd.get(), text, sizeof(text) - 1) : -1;
  if (length <= 0) return 0;
  text[length] = '\0';
  // The command's name may hold spaces and parentheses: fields are counted from the last one that closes it.
  const char* field = strrchr(text, ')');
  // One that has ended is only waiting for its parent.
  if (field != nullptr && strncmp(field, ") Z", 3) == 0) return 0;
  for (int number = 2; field != nullptr && number < 22; number++) field = strchr(field + 1, ' ');
  return field == nullptr ? 0 : strtoull(field, nullptr, 10);
}

}  // namespace plybox

#include "launcher/launch.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "common/syscalls.h"
#include "launcher/child.h"
#include "launcher/prepare.h"

namespace plybox {
namespace {

// Entered by the child: the network and, last, the user namespace, which were made ahead, and the cgroup namespace,
// which must come after the cgroups are joined.
constexpr uint64_t kLaterNamespaces = CLONE_NEWUSER | CLONE_NEWCGROUP | CLONE_NEWNET;

}  // namespace

Result<Launcher> Launcher::make(UniqueFd agent, Stage stage, bool rootless) {
  void* shared = mmap(nullptr, sizeof(StepRecord), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return Failure::here("record");
  return Launcher(std::move(agent), std::move(stage), static_cast<StepRecord*>(shared), rootless);
}

Result<Launched> Launcher::launch(const LaunchPlan& plan) {
  *record_ = StepRecord{};
  Prepared prepared;
  prepared.rootless = rootless_;
  HostTraces traces;
  if (!prepare(plan, spare_, prepared, traces, *record_)) return Failure{record_->failed_step, record_->error};

  uint64_t begin = StepRecord::now();
  if (Result<> entered = stage_.enter(); !entered) return entered.failure();
  int pidfd = -1;
  sys::CloneArgs args;
  // CLONE_VFORK: the launcher goes on when the child has become the agent or has failed; the record says which.
  args.flags = CLONE_VFORK | CLONE_PIDFD | (plan.namespaces & ~kLaterNamespaces);
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  if (prepared.cgroups.into) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(prepared.cgroups.into.get());
  }
  size_t clone_slot = record_->count;
  record_->add("clone", 0);
  pid_t pid = plan.fail_at == "clone" ? (errno = EIO, -1) : sys::clone3(args);
  if (pid == 0) {
    record_->steps[clone_slot].ns = StepRecord::now() - begin;
    become_agent(plan, prepared, agent_.get(), *record_);
    _exit(1);
  }
  Failure clone_failure = Failure::here("clone");
  UniqueFd owned_pidfd(pidfd);
  if (Result<> left = stage_.leave(); !left) abort();  // on the stage there is nothing a launcher could serve
  if (pid < 0) {
    record_->fail(clone_failure);
    return clone_failure;
  }
  if (record_->failed_step != nullptr) {
    waitpid(pid, nullptr, 0);
    return Failure{record_->failed_step, record_->error};
  }
  traces.keep();
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

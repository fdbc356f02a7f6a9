// The new process is made as by vfork: it borrows the agent's memory and the agent waits until it has entered the
// program. So the cost does not grow with the agent's rings, and a failure is reported through that memory.
//
// Everything that runs in it is a plain system call. No C library function is safe there: several of them take locks or
// signal other threads. It is not instrumented by sanitizers either, which would take its stack for the agent's.
#include "agent/child.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "agent/fault.h"
#include "common/clone-on.h"
#include "common/syscalls.h"

namespace plybox {
namespace {

#define UNINSTRUMENTED __attribute__((no_sanitize("address", "undefined")))

struct Attempt {
  const ChildPlan* plan;
  int join_group = -1;  // cgroup v2: where it could not be started
  bool oom_raised = false;
  Failure failure{nullptr, 0};
};

// The kernel's form of a signal's disposition; the C library's own differs.
struct KernelAction {
  void* handler;
  unsigned long flags;
  void* restorer;
  uint64_t mask;
};

UNINSTRUMENTED long call(long number, long a = 0, long b = 0, long c = 0, long d = 0) {
  return syscall(number, a, b, c, d);
}

[[noreturn]] UNINSTRUMENTED void give_up(Attempt& attempt, const char* step, int error) {
  attempt.failure.step = step;
  attempt.failure.error = error;
  for (;;) call(SYS_exit, 127);
}

UNINSTRUMENTED void join_cgroup(Attempt& attempt, int tasks) {
  if (tasks < 0) return;
  if (fault_at("cgroup") || call(SYS_write, tasks, reinterpret_cast<long>("0"), 1) != 1)
    give_up(attempt, "cgroup", errno);
}

// A process has from its beginning what its maker has. To open a file of its own in /proc would cost it as much as to
// be made: so the agent has the score of commands for the moment in which it makes one, and the process gives it back
// its own. Who is killed in that moment is somebody larger than the agent, where there is anybody.
UNINSTRUMENTED bool write_oom_score(const ChildPlan& plan, const OomScore& score, const char* step) {
  long length = static_cast<long>(score.length);
  return !fault_at(step) && call(SYS_write, plan.oom_file, reinterpret_cast<long>(score.text), length) == length;
}

bool raise_oom_score(Attempt& attempt) {
  const ChildPlan& plan = *attempt.plan;
  if (plan.oom_file < 0) return true;
  attempt.oom_raised = write_oom_score(plan, plan.oom_of_commands, "oom-score");
  return attempt.oom_raised;
}

UNINSTRUMENTED bool give_back_oom_score(Attempt& attempt) {
  if (!attempt.oom_raised) return true;
  attempt.oom_raised = !write_oom_score(*attempt.plan, attempt.plan->oom_of_agent, "oom-score-back");
  return !attempt.oom_raised;
}

// Hard limits too: nobody inside has the right to raise them.
UNINSTRUMENTED void limit_resources(Attempt& attempt) {
  const ChildPlan& plan = *attempt.plan;
  for (size_t i = 0; i < plan.limit_count; i++) {
    const ResourceLimit& entry = plan.limits[i];
    if (fault_at("limits") || call(SYS_prlimit64, 0, entry.resource, reinterpret_cast<long>(&entry.limit)) != 0)
      give_up(attempt, "limits", errno);
  }
}

UNINSTRUMENTED void join_group(Attempt& attempt) {
  if (attempt.join_group < 0) return;
  long processes = call(SYS_openat, attempt.join_group, reinterpret_cast<long>("cgroup.procs"), O_WRONLY | O_CLOEXEC);
  if (processes < 0) give_up(attempt, "cgroup", errno);
  join_cgroup(attempt, static_cast<int>(processes));
}

UNINSTRUMENTED void change_user(Attempt& attempt) {
  const ChildPlan& plan = *attempt.plan;
  if (!plan.change_user) return;
  // Groups first: afterwards there is no right to it.
  if (fault_at("user") ||
      call(SYS_setgroups, static_cast<long>(plan.group_count), reinterpret_cast<long>(plan.groups)) != 0 ||
      call(SYS_setresgid, plan.gid, plan.gid, plan.gid) != 0 ||
      call(SYS_setresuid, plan.uid, plan.uid, plan.uid) != 0) {
    give_up(attempt, "user", errno);
  }
}

UNINSTRUMENTED void change_directory(Attempt& attempt) {
  const ChildPlan& plan = *attempt.plan;
  // As the user, so that it is the user's right to enter it that counts.
  if (fault_at("cwd")) give_up(attempt, "cwd", errno);
  if (call(SYS_chdir, reinterpret_cast<long>(plan.cwd)) == 0) return;
  if (plan.fall_back_to_root && call(SYS_chdir, reinterpret_cast<long>("/")) == 0) return;
  give_up(attempt, "cwd", errno);
}

// The agent ignores SIGPIPE and blocks every signal; a program expects neither.
UNINSTRUMENTED void reset_signals() {
  KernelAction standard{nullptr, 0, nullptr, 0};
  uint64_t none = 0;
  call(SYS_rt_sigaction, SIGPIPE, reinterpret_cast<long>(&standard), 0, sizeof(none));
  call(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&none), 0, sizeof(none));
}

// After everything else: what it refuses may be what the steps before need.
UNINSTRUMENTED void install_filter(Attempt& attempt) {
  const sock_fprog* filter = attempt.plan->filter;
  if (filter == nullptr) return;
  if (call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, reinterpret_cast<long>(filter)) != 0)
    give_up(attempt, "seccomp", errno);
}

// As a shell goes through PATH: what is not there is passed over, what may not be run is remembered.
[[noreturn]] UNINSTRUMENTED void enter_program(Attempt& attempt) {
  const ChildPlan& plan = *attempt.plan;
  int error = ENOENT;
  if (fault_at("execve")) give_up(attempt, "execve", errno);
  for (const char* const* candidate = plan.candidates; *candidate != nullptr; candidate++) {
    call(SYS_execve, reinterpret_cast<long>(*candidate), reinterpret_cast<long>(plan.argv),
         reinterpret_cast<long>(plan.environment));
    if (errno == EACCES) error = EACCES;
    if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) give_up(attempt, "execve", errno);
  }
  give_up(attempt, "execve", error);
}

// The order matters: the agent's score first; then the cgroup, while the process still has the agent's rights and
// before it can start anything; the signals last, because a signal before would strike a process that shares the
// agent's memory.
UNINSTRUMENTED int run_child(void* argument) {
  Attempt& attempt = *static_cast<Attempt*>(argument);
  const ChildPlan& plan = *attempt.plan;
  if (!give_back_oom_score(attempt)) give_up(attempt, "oom-score-back", errno);
  join_cgroup(attempt, plan.join_tasks);
  join_cgroup(attempt, plan.join_memory);
  join_group(attempt);
  // Its own session, so that its group and its session have its pid for a name.
  if (fault_at("session") || call(SYS_setsid) < 0) give_up(attempt, "session", errno);
  if (plan.terminal && (fault_at("terminal") || call(SYS_ioctl, plan.stdio[0], TIOCSCTTY, 0) != 0))
    give_up(attempt, "terminal", errno);
  for (int i = 0; i < 3; i++) {
    if (fault_at("stdio") || call(SYS_dup3, plan.stdio[i], i, 0) < 0) give_up(attempt, "stdio", errno);
  }
  call(SYS_close_range, 3, static_cast<long>(~0u), 0);
  limit_resources(attempt);
  change_user(attempt);
  change_directory(attempt);
  reset_signals();
  install_filter(attempt);
  enter_program(attempt);
}

// Used by one child at a time: the agent waits for it. Only what is touched of it takes memory.
alignas(64) char child_stack[65536];

int clone_child(Attempt& attempt) {
  constexpr int kFlags = CLONE_VM | CLONE_VFORK;
  char* top = child_stack + sizeof(child_stack);
  int group = attempt.plan->start_in_group;
  if (group >= 0) {
    sys::CloneArgs args;
    args.flags = kFlags | CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(group);
    int pid = clone_on({child_stack, sizeof(child_stack)}, args, run_child, &attempt);
    // Refused by a filter that has to hold for the agent and for commands alike.
    if (pid >= 0 || errno != ENOSYS) return pid;
    attempt.join_group = group;
  }
  return clone(run_child, top, kFlags | SIGCHLD, &attempt);
}

}  // namespace

Result<pid_t> start_child(const ChildPlan& plan) {
  Attempt attempt{&plan};
  if (!raise_oom_score(attempt)) return Failure::here("oom-score");
  pid_t pid = fault_at("clone") ? -1 : clone_child(attempt);
  Failure refused = Failure::here("clone");
  // Written by the child behind the compiler's back.
  asm volatile("" ::: "memory");
  // Where none was made, or it was killed before its first step.
  give_back_oom_score(attempt);
  if (pid < 0) return refused;
  if (attempt.failure.step == nullptr) return pid;
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return attempt.failure;
}

}  // namespace plybox

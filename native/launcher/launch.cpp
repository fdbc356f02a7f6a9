#include "launcher/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clone-on.h"
#include "common/syscalls.h"
#include "launcher/child.h"

namespace plybox {
namespace {

struct TimedStart {
  const Start& start;
  uint64_t begin;
};

int run_child(void* argument) {
  const auto& [start, begin] = *static_cast<const TimedStart*>(argument);
  start.record.add("clone", StepRecord::now() - begin);
  if (lay_ground(start.plan, start.prepared.ground, start.plan.fail_at, start.record)) become_agent(start);
  _exit(1);
}

// Of the launcher's own thread, which waits for the one child that uses it.
Stack child_stack() {
  static Stack stack{nullptr, 0};
  if (stack.bottom == nullptr) stack = make_stack();
  return stack;
}

}  // namespace

void Launcher::expect(Ground ground) {
  if (begun_ != nullptr && !begun_->is_on(ground)) begun_->take_back();
  // A launcher that was killed may have begun what is expected no more.
  if (expected_ && !is_same_ground(*expected_, ground))
    for (const CgroupPlan& cgroup : expected_->cgroups) rmdir(cgroup.path.c_str());
  expected_ = std::move(ground);
}

void Launcher::give_up_next() {
  begun_->take_back();
  expected_.reset();
}

void Launcher::prepare_next() {
  spare_.prepare();
  if (!expected_ || rootless_) return;
  if (begun_ == nullptr) {
    Result<std::unique_ptr<Begun>> started = Begun::start(stage_);
    // It shows nowhere but in the time that a launch takes.
    if (!started) return expected_.reset();
    begun_ = started.take();
  }
  begun_->begin(*expected_);
}

void Launcher::settle() {
  if (begun_ != nullptr) begun_->settle();
}

bool Launcher::take_begun(const LaunchPlan& plan, Prepared& prepared) {
  // It is expected no more, whoever lays its ground.
  if (expected_ && is_same_ground(*expected_, plan)) expected_.reset();
  if (begun_ == nullptr) return false;
  // Nobody else has its ids while anything of it is there.
  if (is_of_ground(plan.fail_at) || (!begun_->is_on(plan) && begun_->has_ids_of(plan))) begun_->take_back();
  // Two children at once would undo each other's protection of the memory that they share.
  begun_->settle();
  if (!begun_->is_on(plan)) return false;
  prepared.ground = begun_->take_ground();
  return true;
}

Result<> Launcher::prepare(const LaunchPlan& plan, Preparation& preparation) {
  record_ = StepRecord{};
  Prepared& prepared = preparation.prepared;
  preparation.is_begun = take_begun(plan, prepared);
  // Named before they are made: half-made ones are taken back too.
  for (const CgroupPlan& cgroup : plan.cgroups)
    // What a first start finds there is of a launcher that was killed.
    if (plan.incarnation == 1 || access(cgroup.path.c_str(), F_OK) != 0) preparation.traces.add_cgroup(cgroup.path);
  prepared.ground.rootless = rootless_;
  if ((preparation.is_begun || prepare_ground(plan, spare_, prepared.ground, plan.fail_at, record_)) &&
      prepare_on_host(plan, prepared, preparation.traces, record_))
    return {};
  if (preparation.is_begun) begun_->take_back();
  return Failure{record_.failed_step, record_.error};
}

Cloned Launcher::start_child(const Start& start) {
  TimedStart timed{start, StepRecord::now()};
  Stack stack = child_stack();
  if (stack.bottom == nullptr || start.plan.fail_at == "clone") {
    record_.fail({"clone", stack.bottom == nullptr ? ENOMEM : EIO});
    return {};
  }
  if (Result<> entered = stage_.enter(); !entered) {
    record_.fail(entered.failure());
    return {};
  }
  Cloned child = clone_onto(start.plan, start.prepared.ground, 0, stack, run_child, &timed);
  if (child.pid < 0) record_.fail(Failure::here("clone"));
  if (Result<> left = stage_.leave(); !left) abort();  // on the stage there is nothing a launcher could serve
  return child;
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

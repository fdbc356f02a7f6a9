// The host side of a launch.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/result.h"
#include "common/unique-fd.h"
#include "launcher/agent-command.h"
#include "launcher/begun.h"
#include "launcher/plan.h"
#include "launcher/prepare.h"
#include "launcher/spare.h"
#include "launcher/stage.h"
#include "launcher/steps.h"

namespace plybox {

struct Launched {
  pid_t pid;
  uint64_t start_time;
  UniqueFd pidfd;
};

// Field 22 of /proc/PID/stat: with the pid it names a process for good. 0 when there is none that runs.
uint64_t process_start_time(pid_t pid);

class Launcher {
 public:
  // `agent` is the agent's program; `stage` as made at start; `rootless`: this process is root of a namespace alone.
  Launcher(UniqueFd agent, Stage stage, bool rootless)
      : agent_(std::move(agent)), stage_(std::move(stage)), rootless_(rootless) {}

  // Builds one sandbox; `listening` is called when its agent's socket takes connections, before there is an agent. On
  // failure nothing of it is left that was not there before. The time of each step, also of a launch that failed, is in
  // record() until the next call; what was begun ahead has taken none.
  template <typename Listening>
  Result<Launched> launch(const LaunchPlan& plan, Listening listening) {
    Preparation preparation;
    if (Result<> prepared = prepare(plan, preparation); !prepared) return prepared.failure();
    AgentCommand command(plan, preparation.prepared.ground.cgroups);
    Start start{plan, preparation.prepared, command, agent_.get(), record_};
    // The child goes on meanwhile, where there is one.
    if (preparation.is_begun) begun_->go_on(start);
    listening();
    Cloned child;
    if (preparation.is_begun) child = begun_->finish();
    if (!preparation.is_begun || !begun_->has_heard()) {
      // One that was killed while it waited leaves the ground to another.
      child.reap();
      child = start_child(start);
    }
    if (record_.failed_step != nullptr) {
      child.reap();
      return Failure{record_.failed_step, record_.error};
    }
    preparation.traces.keep();
    return Launched{child.pid, process_start_time(child.pid), std::move(child.pidfd)};
  }
  const StepRecord& record() const { return record_; }
  // The ground of the sandbox that is asked for next, as far as one can know.
  void expect(Ground ground);
  // Makes ahead what the next launch needs; for when nobody waits.
  void prepare_next();
  // What is made ahead is made; to be called before this process is copied by somebody who allocates in the copy.
  void settle();
  // Whether a sandbox is begun ahead.
  bool has_begun() const { return begun_ != nullptr && begun_->is_there(); }
  // Takes it back. It is expected no more.
  void give_up_next();
  // Whether nothing of earlier launches waits to be reaped by prepare_next().
  bool settled() const { return spare_.settled(); }
  bool rootless() const { return rootless_; }

 private:
  struct Preparation {
    Prepared prepared;
    HostTraces traces;
    bool is_begun = false;
  };
  Result<> prepare(const LaunchPlan& plan, Preparation& preparation);
  // Whether what has been begun ahead is for this plan; its ground is the plan's then.
  bool take_begun(const LaunchPlan& plan, Prepared& prepared);
  Cloned start_child(const Start& start);

  UniqueFd agent_;
  Stage stage_;
  Spare spare_;
  StepRecord record_{};
  bool rootless_;
  std::optional<Ground> expected_;
  std::unique_ptr<Begun> begun_;
};

}  // namespace plybox

// The host side of a launch.
#pragma once
#include <cstdint>
#include <string>

#include "common/result.h"
#include "common/unique-fd.h"
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

class Launcher {
 public:
  // `agent` is the agent's program; `stage` as made at start; `rootless`: this process is root of a namespace alone.
  Launcher(UniqueFd agent, Stage stage, bool rootless)
      : agent_(std::move(agent)), stage_(std::move(stage)), rootless_(rootless) {}

  // Builds one sandbox; `listening` is called when its agent's socket takes connections, before there is an agent. On
  // failure nothing of it is left that was not there before. The time of each step, also of a launch that failed, is in
  // record() until the next call.
  template <typename Listening>
  Result<Launched> launch(const LaunchPlan& plan, Listening listening) {
    Preparation preparation;
    if (Result<> prepared = prepare(plan, preparation); !prepared) return prepared.failure();
    listening();
    return start(plan, preparation);
  }
  const StepRecord& record() const { return record_; }
  // Makes ahead what the next launch needs; for when nobody waits.
  void prepare_next() { spare_.prepare(); }
  // Whether nothing of earlier launches waits to be reaped by prepare_next().
  bool settled() const { return spare_.settled(); }
  bool rootless() const { return rootless_; }

 private:
  struct Preparation {
    Prepared prepared;
    HostTraces traces;
  };
  Result<> prepare(const LaunchPlan& plan, Preparation& preparation);
  Result<Launched> start(const LaunchPlan& plan, Preparation& preparation);

  UniqueFd agent_;
  Stage stage_;
  Spare spare_;
  StepRecord record_{};
  bool rootless_;
};

// Field 22 of /proc/PID/stat: with the pid it names a process for good. 0 when there is none that runs.
uint64_t process_start_time(pid_t pid);

}  // namespace plybox

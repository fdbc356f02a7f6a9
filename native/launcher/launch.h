// The host side of a launch.
#pragma once
#include <cstdint>
#include <string>

#include "common/result.h"
#include "common/unique-fd.h"
#include "launcher/plan.h"
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
  static Result<Launcher> make(UniqueFd agent, Stage stage, bool rootless);

  // Builds one sandbox. On failure nothing of it is left that was not there before. The time of each step, also of a
  // launch that failed, is in record() until the next call.
  Result<Launched> launch(const LaunchPlan& plan);
  const StepRecord& record() const { return *record_; }
  // Makes ahead what the next launch needs; for when nobody waits.
  void prepare_next() { spare_.prepare(); }
  // Whether nothing of earlier launches waits to be reaped by prepare_next().
  bool settled() const { return spare_.settled(); }
  bool rootless() const { return rootless_; }

 private:
  Launcher(UniqueFd agent, Stage stage, StepRecord* record, bool rootless)
      : agent_(std::move(agent)), stage_(std::move(stage)), record_(record), rootless_(rootless) {}

  UniqueFd agent_;
  Stage stage_;
  Spare spare_;
  StepRecord* record_;
  bool rootless_;
};

// Field 22 of /proc/PID/stat: with the pid it names a process for good. 0 when there is none that runs.
uint64_t process_start_time(pid_t pid);

}  // namespace plybox

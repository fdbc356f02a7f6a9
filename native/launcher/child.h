// The child of a launch: turns itself into the agent of a new sandbox. Until then it borrows the launcher's memory:
// what it leaves allocated there stays, and what it changes there is changed.
#pragma once
#include <string>
#include <vector>

#include "common/unique-fd.h"
#include "launcher/agent-command.h"
#include "launcher/cgroup.h"
#include "launcher/plan.h"
#include "launcher/spare.h"
#include "launcher/steps.h"

namespace plybox {

// A bind, opened on the host: a mount that is mounted nowhere yet.
struct PreparedBind {
  UniqueFd mount;
  std::string target;
  bool directory;
  struct Hidden {
    UniqueFd place;  // within `mount`
    bool directory;
  };
  std::vector<Hidden> hidden;
};

// What the launcher has prepared on the host; the child sees nothing of the host but these.
struct Prepared {
  // The launcher is root of a user namespace and not of the machine: ids are presented as they are, which are the
  // sandbox's own, and devices are bound.
  bool rootless = false;
  Namespaces namespaces;
  std::vector<UniqueFd> layers;  // bottom first
  UniqueFd upper;
  UniqueFd referenced, reserved;  // of its quota
  std::vector<PreparedBind> binds;
  JoinedCgroups cgroups;
  UniqueFd socket;
};

// Builds the sandbox and becomes the agent. Returns only by failing, with the failure in `record`.
void become_agent(const LaunchPlan& plan, const Prepared& prepared, const AgentCommand& command, int agent,
                  StepRecord& record);

}  // namespace plybox

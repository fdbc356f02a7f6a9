// The child of a launch: turns itself into the agent of a new sandbox. Until then it borrows the launcher's memory:
// what it leaves allocated there stays, and what it changes there is changed.
#pragma once
#include <string>
#include <vector>

#include "common/unique-fd.h"
#include "launcher/agent-command.h"
#include "launcher/ground.h"
#include "launcher/plan.h"
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
  PreparedGround ground;
  std::vector<UniqueFd> layers;  // bottom first
  UniqueFd upper;
  UniqueFd referenced, reserved;  // of its quota
  std::vector<PreparedBind> binds;
  UniqueFd socket;
};

// What the child is given; it lives until the child has become the agent.
struct Start {
  const LaunchPlan& plan;
  const Prepared& prepared;
  const AgentCommand& command;
  int agent;
  StepRecord& record;
};

// Builds the sandbox on its ground and becomes the agent. Returns only by failing, with the failure in the record.
void become_agent(const Start& start);

}  // namespace plybox

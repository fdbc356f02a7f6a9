// Adds a layer to a sandbox that runs: what it brings is mounted where nothing is yet (docs/decisions/0019).
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/json.h"
#include "common/result.h"
#include "launcher/plan.h"
#include "launcher/user-namespace.h"

namespace plybox {

struct GraftPlan {
  pid_t pid;  // of the sandbox's PID 1
  uint64_t start_time;
  LayerPlan layer;
  std::string upper;  // where the sandbox's upper is on the host
  std::string work;   // a name of this layer's own, for overlayfs's work directories beside the upper
  IdMap ids;
  bool setuid;                      // whether set-user-id bits count
  std::vector<std::string> points;  // directories of the layer that nothing is at in the sandbox
};

GraftPlan read_graft(JsonObject& request);

// Mounts each of the points: the layer's directory, with the sandbox's upper over it. Nothing may run in the sandbox
// meanwhile. What is mounted already is left as it is; where one fails, those of this call are taken back. The calling
// process changes its namespaces and ids, and is good for nothing else.
Result<> graft(const GraftPlan& plan);

}  // namespace plybox

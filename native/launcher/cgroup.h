// Control groups of a sandbox, on version 2 and on version 1: made and set before the sandbox starts, joined by it,
// and removed after it.
#pragma once
#include <string>
#include <vector>

#include "common/result.h"
#include "common/unique-fd.h"
#include "launcher/plan.h"

namespace plybox {

// The descriptors that a new sandbox needs of its cgroups.
struct JoinedCgroups {
  // Version 2: the directory for CLONE_INTO_CGROUP.
  UniqueFd into;
  // Version 1: `tasks` files into which the child writes itself.
  std::vector<UniqueFd> tasks;
  UniqueFd track;
  int track_version = 0;
  UniqueFd memory;
  int memory_version = 0;
};

// Makes the cgroups, or takes those that are there from an earlier start of the same sandbox. `owner` is the host id of
// root inside, which may make cgroups below the one that tracks and the one of memory.
Result<JoinedCgroups> make_cgroups(const std::vector<CgroupPlan>& plans, uint32_t owner);

// Writes the calling process into the version 1 cgroups.
Result<> join_cgroups(const JoinedCgroups& cgroups);

// Removes a cgroup and what is below it. Absent counts as removed. EBUSY: a process has not quite gone yet.
Result<> remove_cgroup(const std::string& path);

}  // namespace plybox

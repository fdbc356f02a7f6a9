// Control groups of a sandbox, on version 2 and on version 1: made before the sandbox starts, joined by it,
// and removed after it.
#pragma once
#include <string>
#include <vector>

#include "common/result.h"
#include "common/unique-fd.h"
#include "launcher/plan.h"

namespace plybox {

// The descriptors that a new sandbox needs of its cgroups; -1: none.
struct JoinedCgroups {
  std::vector<UniqueFd> directories;  // one a plan, in their order; the numbers below are among them
  // Version 2: for CLONE_INTO_CGROUP.
  int into = -1;
  // Version 1: `tasks` files into which the child writes itself.
  std::vector<UniqueFd> tasks;
  int track = -1;
  int track_version = 0;
  int memory = -1;
  int memory_version = 0;
};

// Makes the cgroups, or takes those that are there from an earlier start of the same sandbox. `owner` is the host id of
// root inside, which may make cgroups below the one that tracks and the one of memory.
Result<JoinedCgroups> make_cgroups(const std::vector<CgroupPlan>& plans, uint32_t owner);

// Writes what the plans set into the cgroups that were made of them.
Result<> set_cgroups(const std::vector<CgroupPlan>& plans, const JoinedCgroups& cgroups);

// Writes the calling process into the version 1 cgroups.
Result<> join_cgroups(const JoinedCgroups& cgroups);

// Removes a cgroup and what is below it. Absent counts as removed. EBUSY: a process has not quite gone yet.
Result<> remove_cgroup(const std::string& path);

}  // namespace plybox

// The ground that a sandbox is built on: what of it does not depend on what it is made for, and may be laid before that
// is known. Its namespaces and cgroups are made on the host; a child that is cloned into them mounts /dev, /proc and
// /sys on the stage.
#pragma once
#include <sys/types.h>

#include <string_view>

#include "common/clone-on.h"
#include "launcher/cgroup.h"
#include "launcher/plan.h"
#include "launcher/spare.h"
#include "launcher/steps.h"

namespace plybox {

struct PreparedGround {
  // The launcher is root of a user namespace and not of the machine: ids are presented as they are, which are the
  // sandbox's own, and devices are bound.
  bool rootless = false;
  Namespaces namespaces;
  JoinedCgroups cgroups;
};

// The host's part. False: `record` says why, and cgroups that were made may be there.
bool prepare_ground(const Ground& ground, Spare& spare, PreparedGround& prepared, std::string_view fail_at,
                    StepRecord& record);

struct Cloned {
  pid_t pid = -1;  // there is none, and errno says why
  UniqueFd pidfd;

  // Waits for its end.
  void reap() const;
};

// Clones a child of this process's memory on the stage, where the caller is, and returns when that has become another
// program or has ended.
Cloned clone_onto(const Ground& ground, const PreparedGround& prepared, uint64_t flags, Stack stack,
                  int (*child)(void*), void* argument);

// The child's part. False: `record` says why.
bool lay_ground(const Ground& ground, const PreparedGround& prepared, std::string_view fail_at, StepRecord& record);

// Whether `step` is one of these.
bool is_of_ground(std::string_view step);

// Whether what is laid for one can be built on for the other: what a plan sets in its cgroups may be set later.
bool is_same_ground(const Ground& one, const Ground& other);

}  // namespace plybox

// The start of a command's first process.
#pragma once
#include <linux/filter.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "common/result.h"

namespace plybox {

// What one process may have of something; for all that it starts as well.
struct ResourceLimit {
  int resource;  // RLIMIT_…
  rlimit limit;
};

// What an oom_score_adj is written as.
struct OomScore {
  const char* text;
  size_t length;
};

// What the new process does before it becomes the program, prepared beforehand: the process shares the agent's memory
// until then and must not allocate. Pointers stay the caller's.
struct ChildPlan {
  int join_tasks = -1;                 // cgroup v1: the `tasks` file of its cgroup
  int join_memory = -1;                // cgroup v1: the same of its memory cgroup, where it has one
  int start_in_group = -1;             // cgroup v2: the directory of its cgroup
  const sock_fprog* filter = nullptr;  // of seccomp, installed last
  int stdio[3];
  bool terminal = false;
  bool change_user = false;
  uint32_t uid;
  uint32_t gid;
  const uint32_t* groups;
  size_t group_count;
  int oom_file = -1;  // the agent's own oom_score_adj; none: the process has what the agent has
  OomScore oom_of_agent;
  OomScore oom_of_commands;
  const ResourceLimit* limits;
  size_t limit_count;
  const char* cwd;
  bool fall_back_to_root = false;  // cwd is / where `cwd` does not exist
  const char* const* candidates;   // null-terminated, tried in order
  char* const* argv;
  char* const* environment;
};

// Starts it, and answers its pid once the program has been entered. Otherwise no process is left; the failure's step is
// "oom-score", "clone", "oom-score-back", "cgroup", "session", "terminal", "stdio", "limits", "user",
// "cwd", "seccomp" or "execve".
Result<pid_t> start_child(const ChildPlan& plan);

}  // namespace plybox

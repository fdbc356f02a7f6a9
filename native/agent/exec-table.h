// The commands that the agent knows: those that run, the last ones that have finished, and what is left of forgotten
// ones.
#pragma once
#include <sys/resource.h>

#include <memory>
#include <string_view>
#include <vector>

#include "agent/exec.h"

namespace plybox {

class ExecTable {
 public:
  Exec& add(std::unique_ptr<Exec> exec);
  // Null where there is none, or it is forgotten.
  Exec* find(std::string_view id) const;
  // Null where no running command has this main process.
  Exec* find_running(pid_t pid) const;
  std::string list_json() const;

  // Forgets the oldest finished commands beyond the 64 that are kept, and removes those of which nothing is left.
  void trim();
  // Takes back the cgroups of finished commands of which nothing lives any more.
  void release_cgroups();

 private:
  void forget_oldest();

  std::vector<std::unique_ptr<Exec>> execs_;
};

}  // namespace plybox

// A second fence around what the mounts show of file systems: rights by place, whatever descriptor or path leads there.
#pragma once
#include <initializer_list>

#include "common/result.h"
#include "launcher/plan.h"

namespace plybox {

// The kernel's version of Landlock; 0: it has none, or none that lets files be moved between directories (5.19).
int landlock_version();

// A directory within the fence; one of -1 is passed over.
struct FencePlace {
  enum class Kind { kFiles, kCgroup };
  int directory;
  Kind kind;
};

// Restricts this process and all that it becomes or starts to what is below `places`. With `writes`, only changing is
// restricted; with `all`, also reading and executing. On a kernel without Landlock nothing is done. Needs CAP_SYS_ADMIN
// in its user namespace, or no new privileges.
Result<> fence_in(LandlockPlan plan, std::initializer_list<FencePlace> places);

}  // namespace plybox

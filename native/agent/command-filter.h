#pragma once
#include <linux/filter.h>

#include <vector>

#include "common/result.h"

namespace plybox {

// The seccomp filter that commands get beside the agent's own, from the file it was handed over in; empty where there
// is no such file.
Result<std::vector<sock_filter>> read_command_filter(int fd);

}  // namespace plybox

// Mount points inside a sandbox's root, found without ever following a symbolic link out of it.
#pragma once
#include <string>

#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox {

// Opens `path` (absolute, as seen inside) below `root`; makes it, with its parents, where it is missing: a directory or
// an empty file.
Result<UniqueFd> open_target(const char* step, int root, const std::string& path, bool directory);

// Attaches a mount that is mounted nowhere yet over an opened target.
Result<> attach_over(const char* step, int mount, int target);

}  // namespace plybox

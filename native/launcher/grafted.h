// Directories that grafts made in a sandbox's upper, and which go where nobody has a use for them any more.
#pragma once
#include <string>

#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox {

// A directory below another, on the same mount and through no link of any kind.
UniqueFd open_beneath(int root, const std::string& path);

// Notes beside an upper, under a name of its own in `live`, what a directory is that a graft has made there, and marks
// it as one that comes from a layer. `place` is the host's path of what holds `upper` and `live`, `path` absolute in
// it.
Result<> note_grafted(int place, const std::string& name, const std::string& path);

// Takes those out that are empty and as they were made: a layer that is there yet shows its own, and with one that is
// not they are gone. What is not there, or is in use by now, is left. To be called while nothing is mounted on the
// upper.
void sweep_grafted(const std::string& place);

}  // namespace plybox

#pragma once
#include <cstdint>

#include "agent/files/resolve.h"
#include "agent/files/session.h"

namespace plybox {

// Removes what stands there, a directory with all that is in it. Answers how many names that were.
Outcome<uint64_t> remove_tree(Session* session, const Spot& spot);

}  // namespace plybox

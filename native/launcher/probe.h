#pragma once
#include <string>

#include "common/result.h"

namespace plybox {

// Tries for real whether this host can do `what` (docs/protocol.md §5), and takes it back.
Result<> probe(const std::string& what, const std::string& path, bool rootless);
bool is_probe(const std::string& what);

}  // namespace plybox

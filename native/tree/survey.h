// What a tree comes to, before somebody packs it.
#pragma once
#include <string>

#include "tree/roots.h"

namespace plybox::tree {

struct Survey {
  uint64_t entries = 0;
  uint64_t bytes = 0;  // of regular files, holes included
  // What has an owner or a group from the first foreign id on, or "".
  std::string foreign;
};

// Of all of a tree on its own file system. ENAMETOOLONG where a path is too long for whoever opens it whole.
Result<Survey> survey(const Roots& roots, uint32_t root, uint32_t first_foreign_id);

}  // namespace plybox::tree

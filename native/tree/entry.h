// One name of a tree with all that a ply keeps of it but its bytes.
#pragma once
#include <sys/stat.h>

#include <string>

#include "tree/attributes.h"

namespace plybox::tree {

struct Entry {
  struct stat status;
  std::string target;  // of a symlink
  Attributes attributes;
};

// Of `name` in `directory`, which is not followed.
Result<Entry> read_entry(int directory, const char* name, Marks marks);
// As it is told: src/snapshots/plies/entry.ts reads it.
void append_entry(std::string& out, std::string_view name, const Entry& entry);

}  // namespace plybox::tree

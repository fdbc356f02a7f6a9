// What changes a tree. Nothing here replaces what is there: who wants that removes it first, so that whatever ends the
// program half-way, the same requests again complete what it began.
#pragma once
#include <string>

#include "tree/attributes.h"
#include "tree/roots.h"

namespace plybox::tree {

struct Place {
  uint32_t root;
  std::string path;
};

// Makes `to` what `from` is, all but the content of a directory. A file's holes stay holes.
Result<> copy(const Roots& roots, const Place& from, const Place& to, Marks marks);
// Gives `to` the owner, the mode, the attributes and the time of `from`, both of one type.
Result<> stamp(const Roots& roots, const Place& from, const Place& to, Marks marks);
// Gives the file at `existing` another name.
Result<> link(const Roots& roots, uint32_t root, const std::string& existing, const std::string& path);
// With all that is below. What is not there counts as removed.
Result<> remove(const Roots& roots, const Place& place);
// What hides `place` in the layers below.
Result<> make_whiteout(const Roots& roots, const Place& place);
// Marks a directory as hiding those of the layers below, or takes the mark away.
Result<> mark_opaque(const Roots& roots, const Place& place, bool opaque, Marks marks);
// All of the tree's file system has reached its disk.
Result<> sync(const Roots& roots, uint32_t root);

}  // namespace plybox::tree

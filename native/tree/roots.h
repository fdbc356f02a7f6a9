// The trees that are worked on, and the way into them: by descriptors, through no symlink and no "..", so that whatever
// is in a tree, nothing outside of it is touched.
#pragma once
#include <string>
#include <vector>

#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox::tree {

// Where a name stands: a directory and the name in it; "." for the root itself.
struct Spot {
  UniqueFd directory;
  std::string name;
};

class Roots {
 public:
  uint32_t add(UniqueFd root);
  // EBADF for a number that add() has not answered.
  Result<int> root(uint32_t number) const;
  // `path` is relative, such as "a/b"; "" is the root.
  Result<Spot> spot(uint32_t number, const std::string& path) const;
  // As O_PATH with `flags`.
  Result<UniqueFd> open(uint32_t number, const std::string& path, int flags) const;

 private:
  std::vector<UniqueFd> roots_;
};

// A regular file, of its place, to be read.
Result<UniqueFd> open_file(const Roots& roots, uint32_t number, const std::string& path);
Result<UniqueFd> open_directory(const Roots& roots, uint32_t number, const std::string& path);

}  // namespace plybox::tree

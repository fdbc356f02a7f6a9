// Directories are told piece by piece, so that one of a million names needs room for the names alone, here, and for
// one piece at the other end.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "tree/attributes.h"
#include "tree/roots.h"

namespace plybox::tree {

class Listings {
 public:
  explicit Listings(Marks marks) : marks_(marks) {}

  // Appends the number of the listing, 0 when it is complete with this, and the first entries, in the order of their
  // names' bytes.
  Result<> begin(const Roots& roots, uint32_t root, const std::string& path, std::string& out);
  // The same of the entries that follow.
  Result<> more(const Roots& roots, uint32_t number, std::string& out);
  // It is not wanted any more.
  void drop(uint32_t number);

 private:
  struct Listing {
    uint32_t root;
    std::string path;
    std::string names;  // each with its NUL
    std::vector<uint32_t> order;
    size_t next = 0;
  };

  Result<> tell(int directory, Listing& listing, std::string& out) const;

  Marks marks_;
  std::vector<std::optional<Listing>> listings_;  // the first has number 1
};

}  // namespace plybox::tree

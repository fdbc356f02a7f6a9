// Extended attributes of a name in a directory. They are taken by way of the working directory, because the kernels
// that are still about have no call that takes a directory's descriptor.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"

namespace plybox::tree {

// Whose attributes hold overlayfs's marks: the machine's root's, or where there is none those of users.
enum class Marks { kTrusted, kUser };

struct Attributes {
  // In the order of the names.
  std::vector<std::pair<std::string, std::string>> values;
  bool opaque = false;
};

// What a ply keeps of the attributes of `name` in `directory`: those of users, of the trusted and of security modules.
// Of overlayfs's own it is the opaque mark; the rest is about the machine on which the file was written.
Result<Attributes> read_attributes(int directory, const char* name, Marks marks);
// Gives it those and takes away the others that a ply keeps. The opaque mark is left as it is.
Result<> write_attributes(int directory, const char* name, const Attributes& attributes, Marks marks);
Result<> set_opaque(int directory, const char* name, bool opaque, Marks marks);

}  // namespace plybox::tree

// The tree that overlayfs makes of layers, without a mount that anybody sees: it goes with the descriptor.
#pragma once
#include <string>
#include <vector>

#include "common/result.h"
#include "common/unique-fd.h"
#include "tree/attributes.h"

namespace plybox::tree {

struct Overlay {
  std::vector<std::string> layers;  // absolute, the lowest first
  std::string upper;                // absolute; "" for a tree that cannot be written
  std::string work;                 // empty directory on the upper's file system
};

Result<UniqueFd> mount_overlay(const Overlay& overlay, Marks marks);

}  // namespace plybox::tree

// Whether the sandbox's writable layer has room for more.
#pragma once
#include <cstdint>
#include <utility>

#include "common/unique-fd.h"

namespace plybox {

// What the kernel counts against a quota of the writable layer's own, where it has one within a larger file system.
struct RootQuota {
  UniqueFd referenced;  // a file that tells what has been written, in decimal digits; none: there is no quota
  UniqueFd reserved;    // another one, for what is on its way
  uint64_t bytes = 0;
};

class RootSpace {
 public:
  // Fewer bytes than `least_room` are none: a file system that takes room in large pieces refuses a write for which a
  // piece is missing.
  RootSpace(uint64_t least_room, RootQuota quota) : least_room_(least_room), quota_(std::move(quota)) {}

  // Null where there is room, or where nobody can tell; "bytes" or "inodes" where none is left.
  const char* full() const;

 private:
  bool quota_is_full() const;

  uint64_t least_room_;
  RootQuota quota_;
};

}  // namespace plybox

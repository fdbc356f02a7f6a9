// Whether the sandbox's writable layer has room for more.
#pragma once
#include <cstdint>

namespace plybox {

// Null where there is room, or where nobody can tell; "bytes" or "inodes" where none is left. Fewer bytes than
// `least_room` are none: a file system that takes room in large pieces refuses a write for which a piece is missing.
const char* root_is_full(uint64_t least_room);

}  // namespace plybox

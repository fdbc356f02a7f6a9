// Whether the sandbox's writable layer has room for more.
#pragma once

namespace plybox {

// Null where there is room, or where nobody can tell; "bytes" or "inodes" where none is left.
const char* root_is_full();

}  // namespace plybox

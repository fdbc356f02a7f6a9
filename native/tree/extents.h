// Whether files lie in the same place, and so need not be read to know that they are the same.
#pragma once
#include "common/result.h"

namespace plybox::tree {

// Whether two regular files of one size have all their bytes in the same blocks of one file system, as a copy on write
// has them. False where that cannot be told.
bool shares_blocks(int one, int other);

}  // namespace plybox::tree

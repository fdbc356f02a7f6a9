#pragma once

namespace plybox {

// As renameat; without `overwrite` a name that is taken is EEXIST.
int rename_spot(int from, const char* from_name, int to, const char* to_name, bool overwrite);

}  // namespace plybox

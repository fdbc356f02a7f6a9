#pragma once

namespace plybox {

// Linux's name of an errno value, such as "ENOENT"; "E?" for one that has none. musl has no function for it.
const char* errno_name(int error);

}  // namespace plybox

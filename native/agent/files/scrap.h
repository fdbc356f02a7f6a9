// The one file that a worker is making and that must not stay when it ends early: a name that is removed when the
// connection ends, and on SIGTERM.
#pragma once
#include <string>

namespace plybox {

// From here on `name` in `directory`, a descriptor that outlives it, is not finished. One at a time.
void set_scrap(int directory, const std::string& name);
// It is finished, or has another name by now.
void keep_scrap();
void remove_scrap();
// SIGTERM removes it and ends the process.
void remove_scrap_on_termination();

}  // namespace plybox

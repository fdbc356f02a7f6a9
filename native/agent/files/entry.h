// What is told about a file: docs/protocol.md §4, `file`.
#pragma once
#include <sys/stat.h>

#include <string>
#include <string_view>

#include "common/json.h"

namespace plybox {

// "file", "directory", "symlink" …
const char* type_name(mode_t mode);

// Writes the entry object. `directory` and `name` say where a symlink's target is read; `shown` is its name for the
// host.
void write_entry(JsonWriter& json, const struct stat& status, std::string_view shown, int directory, const char* name);
// Changes when the content does.
std::string etag_of(const struct stat& status);

}  // namespace plybox

// From a path to a descriptor. Everything is resolved within the root, magic links are not followed, and what is found
// is first opened as a mere place (O_PATH), which no FIFO blocks and no device notices.
#pragma once
#include <sys/stat.h>

#include <string>

#include "agent/files/outcome.h"
#include "common/unique-fd.h"

namespace plybox {

enum class LastLink { kFollow, kStay };

// The place at `path`, as O_PATH.
Outcome<UniqueFd> open_place(const std::string& path, LastLink last = LastLink::kFollow, const char* field = "path");
// The same, which must be a directory.
Outcome<UniqueFd> open_directory_place(const std::string& path, const char* field = "path");
// A directory that can be read, of a place or of a name in one; a symlink is not followed.
Outcome<UniqueFd> open_directory(int directory, const char* name = ".");
// What stands at `path`, which is relative, below `directory`: through no symlink and no "..". As O_PATH with `flags`.
Outcome<UniqueFd> open_below(int directory, const std::string& path, int flags = 0);
// A regular file, of its place, with the rights that `flags` ask for. Never blocks.
Outcome<UniqueFd> reopen(int place, int flags);
// The same of what is known to be a regular file.
Outcome<UniqueFd> reopen_regular(int place, int flags);

// A name in a directory: what may be created, replaced, renamed or removed.
struct Spot {
  UniqueFd directory;  // O_PATH
  std::string name;
};
// Where the last part of `path` stands, whether it exists or not; the last part is not followed. `parents` makes the
// directories that are missing above it.
Outcome<Spot> find_spot(const std::string& path, bool parents = false, const char* field = "path");
// The same, behind the symlinks that the last part may be.
Outcome<Spot> find_target_spot(const std::string& path, bool parents);
// Makes the directory and those above it, each with `mode` or 0755. Answers whether it had to be made.
Outcome<bool> make_directories(const std::string& path, mode_t mode, const char* field = "path");

// /proc's name for an open descriptor, for calls that take paths alone.
std::string descriptor_path(int fd);
// Where a descriptor's file is now; "" where the kernel does not say.
std::string current_path(int fd);
// The text of a symlink in `directory`, or of the place itself for the name "".
Outcome<std::string> read_link(int directory, const char* name);

}  // namespace plybox

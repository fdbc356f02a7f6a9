// Small pieces over the kernel's mount calls.
#pragma once
#include <cstdint>
#include <string>

#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox {

// A new file system that is mounted nowhere yet. `options` are name, value, name, value…, and a null ends them; an
// empty value makes the name a flag.
Result<UniqueFd> make_mount(const char* step, const char* type, unsigned attributes, const char* const* options);

// Opens `path` below `directory` as a mere place (O_PATH), where no component of it is a symbolic link: ELOOP
// otherwise.
UniqueFd open_without_links(int directory, const char* path);

// A copy of the mount at `path`, mounted nowhere yet.
Result<UniqueFd> copy_mount(const char* step, int directory, const char* path, unsigned flags);

// Presents the on-disk ids of a mount that is mounted nowhere yet through `user_namespace`.
Result<> idmap_mount(const char* step, int mount, int user_namespace);

Result<> set_attributes(const char* step, int mount, uint64_t attributes, unsigned flags);

Result<> attach(const char* step, int mount, const char* target);

// Whether something is mounted on `path` itself.
Result<bool> is_mount_point(const char* step, const char* path);

}  // namespace plybox

// /proc, /sys and /dev of a sandbox, built on the stage by a child that still has the host's privileges: by relative
// names, in a directory that has one of each, and then moved into the sandbox's root.
#pragma once
#include <cstdint>

#include "common/result.h"

namespace plybox {

// /proc of the new pid namespace, read-only and masked where container runtimes do.
// `last_group` is the highest id of a group that may ping.
Result<> mount_proc(unsigned last_group);
// /sys of the new network namespace, read-only.
Result<> mount_sys();

struct DevOptions {
  unsigned tty_group;  // the host id of the group tty
  bool bound;          // its devices are the stage's, since this process may not make any
  bool own_queues;     // message queues are the sandbox's own, so that they may be shown
};
// A small /dev of its own, which its shm is not in yet.
Result<> mount_dev(const DevOptions& options);
// Moves them from the directory `made` to the current one, which is the sandbox's root. A mount point that a layer
// lacks is made.
Result<> move_pseudo_files(const char* made);
// /dev/shm, which may hold so much.
Result<> mount_shm(uint64_t bytes);
// Covers an opened place with an empty directory that cannot be written to, or the null device; /dev is mounted by
// then.
Result<> cover(const char* step, int place, bool directory);

}  // namespace plybox

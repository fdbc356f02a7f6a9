// /proc, /sys and /dev of a sandbox, built below the stage's root by a child that still has the host's privileges.
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
  uint64_t shm_bytes;  // what /dev/shm may hold
};
// A small /dev of its own.
Result<> mount_dev(const DevOptions& options);
// Covers an opened place with an empty directory that cannot be written to, or the null device; /dev is mounted by
// then.
Result<> cover(const char* step, int place, bool directory);

}  // namespace plybox

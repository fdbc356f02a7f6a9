// User namespaces, whose ids are ranges of the host's.
#pragma once
#include <sys/types.h>

#include <cstdint>

#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox {

struct IdMap {
  uint32_t inside;
  uint32_t outside;
  uint32_t count;
};

// Puts the calling process into a user namespace of its own, in which nobody makes a cgroup namespace, nor in one below
// it: docs/decisions/0007. False: errno says why not.
bool enter_user_namespace();

// Writes the maps of a process that is in a new user namespace. False: errno says why not.
bool write_id_maps(pid_t pid, IdMap uids, IdMap gids);

// Makes a user namespace with this map for uids and gids, held by the descriptor alone.
Result<UniqueFd> make_user_namespace(IdMap uids, IdMap gids);

}  // namespace plybox

// One user namespace a sandbox: its ids 0… are a range of the host's.
#pragma once
#include <cstdint>

#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox {

struct IdMap {
  uint32_t inside;
  uint32_t outside;
  uint32_t count;
};

// Makes a user namespace with this map for uids and gids, held by the descriptor alone.
Result<UniqueFd> make_user_namespace(IdMap uids, IdMap gids);

}  // namespace plybox

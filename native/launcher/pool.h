// Pools: btrfs file systems in images, whose subvolumes are uppers and checkpoints of uppers (docs/decisions/0014).
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/json.h"
#include "common/result.h"

namespace plybox {

// One thing that is done in a pool; docs/protocol.md §5 says what each needs.
struct PoolStep {
  enum class Kind { kLimit, kCreate, kSnapshot, kDelete, kPrune };
  Kind kind;
  std::string path;               // of the subvolume, or of the pool
  std::string source;             // of a snapshot
  uint64_t group = 0;             // whose bytes are counted together; 0: nobody's
  std::optional<uint64_t> bytes;  // of a limit; absent: none
  bool read_only = false;
};

std::vector<PoolStep> read_pool_steps(JsonObject& request);

// Does the steps in order; the first failure ends it, and what was done before stays.
Result<> run_pool_steps(const std::vector<PoolStep>& steps);

// Mounts a tmpfs of `bytes` where a pool's image is to lie; one that is there is left as it is.
Result<> mount_memory(const std::string& target, uint64_t bytes);

// Mounts the btrfs in `image`, with its bytes counted by group; one that is there is left as it is.
Result<> mount_pool(const std::string& image, const std::string& target);

}  // namespace plybox

#pragma once
#include <sys/types.h>

#include "agent/single/options.h"
#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox::single {

// Replaces a socket that is there, and nothing else; nobody but the owner may connect.
Result<UniqueFd> listen_unix(const std::string& path);
Result<UniqueFd> listen_vsock(uint32_t port);

struct Bridge {
  UniqueFd socket;
  pid_t pid;  // of the child that carries the bytes
};
// One connection over the standard streams, which need not be sockets.
Result<Bridge> bridge_stdio();

}  // namespace plybox::single

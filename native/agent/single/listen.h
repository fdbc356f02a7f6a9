#pragma once
#include <sys/types.h>

#include "agent/single/options.h"
#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox::single {

// Listens under a temporary name beside `path`, which must be free or a socket; nobody but the owner may connect.
Result<UniqueFd> listen_unix(const std::string& path);
// Gives that socket its name, in the place of one that is there: who sees it may connect.
Result<> show_unix(const std::string& path);
Result<UniqueFd> listen_vsock(uint32_t port);

struct Bridge {
  UniqueFd socket;
  pid_t pid;  // of the child that carries the bytes
};
// One connection over the standard streams, which need not be sockets.
Result<Bridge> bridge_stdio();

}  // namespace plybox::single

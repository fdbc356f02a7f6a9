// Where a dial goes: docs/protocol.md, "dial".
#pragma once
#include <sys/socket.h>

#include <variant>
#include <vector>

#include "agent/requests.h"
#include "common/refusal.h"
#include "common/unique-fd.h"

namespace plybox {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  // Of a Unix socket: its file, open as a place, which the address leads to whatever becomes of the path.
  UniqueFd file = {};

  int family() const { return storage.ss_family; }
};

// At least one, in the order in which they are to be tried.
std::variant<std::vector<SocketAddress>, Refusal> addresses_of(const DialRequest& request);

}  // namespace plybox

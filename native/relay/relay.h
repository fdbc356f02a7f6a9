// Moves the bytes of one file transfer between a client's connection and an agent's, page by page, without copying
// them: what the daemon itself could do only by reading and writing each of them again.
#pragma once
#include <cstdint>

namespace plybox {

// Where the transfer stands when the daemon lends its two connections, at the edge of a frame.
struct Transfer {
  uint32_t channel = 0;
  // Of the stream, as docs/protocol.md counts it.
  uint64_t offset = 0;
  // What the sender may send before it is granted more.
  uint32_t credit = 0;
  // How many are to be moved.
  uint64_t bytes = 0;
};

enum class End {
  kDone,    // all of them have been moved
  kClient,  // the client went away
  kAgent,   // the agent went away, or says something else than was to be expected: the next frame is the daemon's to
            // read
};

struct Moved {
  uint64_t bytes = 0;
  // As in Transfer, now.
  uint32_t credit = 0;
  End end = End::kDone;
};

// From the client to the agent. Both sockets are non-blocking.
Moved move_in(int client, int agent, const Transfer& transfer);
// From the agent to the client.
Moved move_out(int client, int agent, const Transfer& transfer);
// Reads what a client still sends of a body that nobody wants, `bytes` at most, so that it gets to read the answer.
void drain(int client, uint64_t bytes);

}  // namespace plybox

// The worker's side of its connection: docs/protocol.md §§1 and 3 for one channel, on a socket that blocks.
//
// A worker lives for one request, so its end is how it unwinds: when the host is gone, or breaks the protocol, the
// process removes the file that is not finished (scrap.h) and exits. What comes back from here has therefore worked.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/files/outcome.h"
#include "common/conduit.h"
#include "common/frame.h"
#include "common/refusal.h"
#include "common/unique-fd.h"

namespace plybox {

class Session {
 public:
  // `outgoing` has not been sent yet, `incoming` has arrived already.
  Session(UniqueFd socket, uint32_t channel, std::string outgoing, std::string incoming);

  // The operation has begun: streams follow.
  void ack(std::string_view json = "{}");
  // Ends the channel: `exit` after an ack, otherwise as the ack itself.
  void finish(std::string_view json);
  void refuse(const Refusal& refusal);

  // Stream 1, against credit.
  void send(std::string_view bytes);
  // The same of what a conduit holds: so many bytes, at most allowance() and kMaxDataBytes of them.
  void send_from(Conduit& conduit, size_t count);
  void end();
  // How much may be sent now without waiting for credit; waits until it is something.
  size_t allowance();

  // Stream 0: the next bytes, valid until the next call; nothing at its end.
  std::optional<std::string_view> receive();
  // All of stream 0, into a file; answers how many bytes. What the file does not take is refused.
  Outcome<uint64_t> receive_all(int file);

  // To be called now and then by what works without sending: takes what the host has sent, and ends where it is gone.
  void breathe();
  // After finish() or refuse(): lets the host hang up first, so that no byte that it still sends costs it the answer.
  void linger();
  // Readable when breathe() has something to do.
  int socket() const { return socket_.get(); }

 private:
  [[noreturn]] void leave();
  [[noreturn]] void protocol_error(const char* message);
  bool readable() const;
  void read_exactly(char* to, size_t count);
  std::string_view take_bytes(size_t count);
  FrameHeader take_header();
  // What the header announces, checked.
  Frame take_rest(const FrameHeader& header);
  Frame take_frame();
  void check(const Frame& frame);
  // How many bytes of stream 0 come next, which are to be taken at once; nothing at its end.
  std::optional<size_t> take_data_head();
  // Counts what the host sends on stream 0.
  void take_place(const Data& data, size_t count);
  void grant();
  // So many bytes of what the conduit holds.
  Outcome<> write_pages(int file, size_t count);
  Outcome<> write_as_bytes(int file, size_t count);
  void take_control(const Frame& frame);
  void transmit(std::string_view head, std::string_view body, int flags = 0);
  void send_frame(Kind kind, uint32_t channel, std::string_view payload);

  UniqueFd socket_;
  uint32_t channel_;
  std::string incoming_;
  size_t incoming_taken_ = 0;
  std::vector<char> payload_;
  Conduit pages_;
  bool acked_ = false;

  uint32_t credit_ = kInitialCredit;
  uint64_t sent_ = 0;  // of stream 1

  uint32_t window_ = kInitialCredit;
  uint64_t received_ = 0;  // of stream 0
  bool ended_ = false;     // stream 0
};

}  // namespace plybox

#include "agent/dial-channel.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace plybox {
namespace {

// What is kept of each connection for a host that reads slowly; the credit of the protocol bounds the other direction.
constexpr size_t kRingBytes = 131072;

}  // namespace

DialChannel::DialChannel(ChannelOwner& owner, uint32_t number, EventLoop& loop, std::vector<SocketAddress> addresses)
    : Channel(owner, number),
      dialer_(loop, *this, std::move(addresses)),
      input_(loop, *this),
      output_(loop, *this, 1, kRingBytes) {
  dialer_.start();
}

DialChannel::~DialChannel() {
  if (done_) return;
  // Broken off, not ended: what listens must not take a part for the whole.
  linger at_once{1, 0};
  int socket = input_.is_open() ? input_.fd() : output_.fd();
  if (socket >= 0) setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

void DialChannel::connected(UniqueFd socket) {
  int on = 1;
  // Fails on a Unix socket, which needs none.
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  // Two descriptors, because the set takes each once, and one direction may end long before the other.
  UniqueFd writing(fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
  if (!writing) return not_connected(Refusal::failed("no-resources", "cannot connect", Failure::here("duplicate")));
  Result<> opened = output_.open(std::move(socket));
  if (!opened) return not_connected(Refusal::failed("no-resources", "cannot connect", opened.failure()));
  input_.open(std::move(writing), Input::Sink::kSocket);
  connected_ = true;
  owner_.touch();
}

void DialChannel::not_connected(const Refusal& reason) {
  refusal_ = reason;
  owner_.touch();
}

bool DialChannel::owes_end() const {
  return output_.ended() && unsent() == 0 && (!end_sent_ || !input_.is_open() || output_.error() != 0);
}

bool DialChannel::has_more() const {
  if (done_) return false;
  if (!connected_) return refusal_.has_value();
  return !ack_sent_ || (credit_ > 0 && unsent() > 0) || owes_end();
}

// Everything is told from here, never from where it happens: an error must not overtake the bytes before it.
void DialChannel::produce(Batch& batch, size_t most) {
  if (done_) return;
  if (refusal_) return fail(batch, *refusal_);
  if (!connected_) return;
  if (!ack_sent_) append_frame(batch.text(), Kind::kAck, number_, "{}");
  ack_sent_ = true;
  if (sent_ < output_.ring().begin()) return fail(batch, {"no-resources", "there was no memory for what came"});
  produce_bytes(batch, most);
  if (owes_end()) produce_end(batch);
}

void DialChannel::produce_bytes(Batch& batch, size_t most) {
  size_t count = static_cast<size_t>(std::min<uint64_t>({unsent(), most, credit_}));
  if (count == 0) return;
  append_data_header(batch.text(), number_, 1, sent_, count);
  batch.append(output_.ring().read(sent_, count));
  sent_ += count;
  credit_ -= static_cast<uint32_t>(count);
}

void DialChannel::produce_end(Batch& batch) {
  // The kernel reports a reset once, to whichever direction asks first.
  int error = output_.error() != 0 ? output_.error() : end_sent_ ? 0 : input_.error();
  if (error == ECONNRESET) {
    return fail(batch, Refusal::failed("connection-reset", "the other side broke it off", {"connection", error}));
  }
  if (output_.error() != 0) {
    return fail(batch, Refusal::failed("io", "the connection broke", {"connection", error}));
  }
  if (!end_sent_) append_end(batch.text(), number_, 1, sent_);
  end_sent_ = true;
  if (input_.is_open()) return;
  JsonWriter json;
  json.begin_object().key("inBytes").integer(input_.offset()).key("outBytes").integer(sent_).end_object();
  append_frame(batch.text(), Kind::kExit, number_, json.text());
  done_ = true;
}

void DialChannel::fail(Batch& batch, const Refusal& reason) {
  append_frame(batch.text(), Kind::kError, number_, to_json(reason));
  done_ = true;
}

}  // namespace plybox

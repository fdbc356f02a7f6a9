#include "agent/exec-channel.h"

#include <algorithm>

namespace plybox {
ExecChannel::ExecChannel(ChannelOwner& owner, uint32_t number, Exec& exec, const uint64_t (&offsets)[2])
    : Channel(owner, number), exec_(exec), streams_{{offsets[0]}, {offsets[1]}} {
  exec_.listen(*this);
}

void ExecChannel::finished() {
  finished_ = true;
  for (uint8_t number : {1, 2}) streams_[number - 1].last = exec_.output(number).ring().end();
  owner_.touch();
}

// Where the stream may be sent up to now, credit aside.
uint64_t ExecChannel::sendable(uint8_t number) const {
  return std::min(exec_.output(number).ring().end(), streams_[number - 1].last);
}

bool ExecChannel::owes_end(uint8_t number) const {
  const Stream& stream = streams_[number - 1];
  const Output& output = exec_.output(number);
  return output.used() && output.ended() && !stream.end_sent && stream.sent >= output.ring().end();
}

bool ExecChannel::all_sent() const {
  return std::all_of(std::begin(streams_), std::end(streams_), [](const Stream& s) { return s.sent >= s.last; });
}

bool ExecChannel::has_more() const {
  if (done_) return false;
  if (finished_ && all_sent()) return true;
  for (uint8_t number : {1, 2}) {
    if (owes_end(number) || (credit_ > 0 && sent(number) < sendable(number))) return true;
  }
  return false;
}

size_t ExecChannel::produce_stream(Batch& batch, uint8_t number, size_t most) {
  Stream& stream = streams_[number - 1];
  const Ring& ring = exec_.output(number).ring();
  if (stream.sent < ring.begin()) {
    append_lost(batch.text(), number_, number, stream.sent, ring.begin());
    stream.sent = ring.begin();
  }
  size_t count = 0;
  if (uint64_t until = sendable(number); stream.sent < until) {
    count = static_cast<size_t>(std::min<uint64_t>({until - stream.sent, most, credit_}));
  }
  if (count > 0) {
    append_data_header(batch.text(), number_, number, stream.sent, count);
    batch.append(ring.read(stream.sent, count));
    stream.sent += count;
    credit_ -= static_cast<uint32_t>(count);
  }
  if (owes_end(number)) {
    append_end(batch.text(), number_, number, stream.sent);
    stream.end_sent = true;
  }
  return count;
}

void ExecChannel::produce(Batch& batch, size_t most) {
  uint8_t first = first_stream_, second = static_cast<uint8_t>(3 - first_stream_);
  most -= produce_stream(batch, first, most);
  produce_stream(batch, second, most);
  first_stream_ = second;
  if (!finished_ || !all_sent()) return;
  append_frame(batch.text(), Kind::kExit, number_, exec_.report());
  done_ = true;
}

}  // namespace plybox

#include "agent/channel.h"

#include <algorithm>

namespace plybox {
namespace {

// Granting in portions saves frames. The host never starves: what it may not send is owed, waits in stdin, or is less
// than this.
constexpr uint32_t kGrantBytes = 65536;

}  // namespace

Channel::Channel(ChannelOwner& owner, uint32_t number, Exec& exec, const uint64_t (&offsets)[2])
    : owner_(owner), number_(number), exec_(exec), streams_{{offsets[0]}, {offsets[1]}} {
  exec_.listen(*this);
}

bool Channel::spend_window(size_t count) {
  if (count > window_) return false;
  window_ -= static_cast<uint32_t>(count);
  return true;
}

bool Channel::add_credit(uint32_t count) {
  if (count > kMaxCredit - credit_) return false;
  credit_ += count;
  owner_.touch();
  return true;
}

void Channel::input_taken(size_t count) {
  // Of what an earlier channel's host sent, this one's host is owed nothing.
  owed_ = static_cast<uint32_t>(std::min<size_t>(owed_ + count, kInitialCredit - window_));
  if (owed_ < kGrantBytes) return;
  append_credit(owner_.outgoing(), number_, owed_);
  window_ += owed_;
  owed_ = 0;
  owner_.touch();
}

void Channel::finished() {
  finished_ = true;
  for (uint8_t number : {1, 2}) streams_[number - 1].last = exec_.output(number).ring().end();
  owner_.touch();
}

// Where the stream may be sent up to now, credit aside.
uint64_t Channel::sendable(uint8_t number) const {
  return std::min(exec_.output(number).ring().end(), streams_[number - 1].last);
}

bool Channel::owes_end(uint8_t number) const {
  const Stream& stream = streams_[number - 1];
  const Output& output = exec_.output(number);
  return output.used() && output.ended() && !stream.end_sent && stream.sent >= output.ring().end();
}

bool Channel::all_sent() const {
  return std::all_of(std::begin(streams_), std::end(streams_), [](const Stream& s) { return s.sent >= s.last; });
}

bool Channel::has_more() const {
  if (done_) return false;
  if (finished_ && all_sent()) return true;
  for (uint8_t number : {1, 2}) {
    if (owes_end(number) || (credit_ > 0 && sent(number) < sendable(number))) return true;
  }
  return false;
}

size_t Channel::produce_stream(Batch& batch, uint8_t number, size_t most) {
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

void Channel::produce(Batch& batch, size_t most) {
  uint8_t first = first_stream_, second = static_cast<uint8_t>(3 - first_stream_);
  most -= produce_stream(batch, first, most);
  produce_stream(batch, second, most);
  first_stream_ = second;
  if (!finished_ || !all_sent()) return;
  append_frame(batch.text(), Kind::kExit, number_, exec_.report());
  done_ = true;
}

}  // namespace plybox

#include "agent/exec-channel.h"

#include <algorithm>

namespace plybox {
ExecChannel::ExecChannel(ChannelOwner& owner, uint32_t number, Exec& exec, const uint64_t (&offsets)[2])
    : Channel(owner, number), exec_(exec), streams_{{exec.output(1), offsets[0]}, {exec.output(2), offsets[1]}} {
  exec_.listen(*this);
}

void ExecChannel::finished() {
  finished_ = true;
  for (StreamSender& stream : streams_) stream.finish();
  owner_.touch();
}

bool ExecChannel::all_sent() const {
  return std::all_of(std::begin(streams_), std::end(streams_), [](const StreamSender& s) { return s.all_sent(); });
}

bool ExecChannel::has_more() const {
  if (done_) return false;
  if (finished_ && all_sent()) return true;
  return std::any_of(std::begin(streams_), std::end(streams_),
                     [this](const StreamSender& s) { return s.has_more(credit_); });
}

void ExecChannel::produce(Batch& batch, size_t most) {
  most -= streams_[first_stream_].produce(batch, number_, most, credit_);
  first_stream_ = 1 - first_stream_;
  streams_[first_stream_].produce(batch, number_, most, credit_);
  if (!finished_ || !all_sent()) return;
  append_frame(batch.text(), Kind::kExit, number_, exec_.report());
  done_ = true;
}

}  // namespace plybox

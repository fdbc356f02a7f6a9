#include "agent/exec-sender.h"

#include <algorithm>

namespace plybox {

void ExecSender::finish() {
  for (StreamSender& stream : streams_) stream.finish();
}

bool ExecSender::all_sent() const {
  return std::all_of(std::begin(streams_), std::end(streams_), [](const StreamSender& s) { return s.all_sent(); });
}

bool ExecSender::has_more(uint32_t credit) const {
  return std::any_of(std::begin(streams_), std::end(streams_),
                     [credit](const StreamSender& s) { return s.has_more(credit); });
}

void ExecSender::produce(Batch& batch, uint32_t channel, size_t most, uint32_t& credit) {
  most -= streams_[first_].produce(batch, channel, most, credit);
  first_ = 1 - first_;
  streams_[first_].produce(batch, channel, most, credit);
}

}  // namespace plybox

#include "agent/stream-sender.h"

#include <algorithm>

#include "common/frame.h"

namespace plybox {

// Where the stream may be sent up to now, credit aside.
uint64_t StreamSender::sendable() const { return std::min(output_.ring().end(), last_); }

bool StreamSender::owes_end() const {
  return output_.used() && output_.ended() && !end_sent_ && sent_ >= output_.ring().end();
}

size_t StreamSender::produce(Batch& batch, uint32_t channel, size_t most, uint32_t& credit) {
  const Ring& ring = output_.ring();
  uint64_t until = sendable();
  uint64_t from = std::clamp(sent_, std::min(ring.begin(), until), until);
  size_t count = static_cast<size_t>(std::min<uint64_t>({until - from, most, credit}));
  // Told together with what comes after it: of a stream that runs away from its reader there is more to tell each time.
  if (sent_ < from && (count > 0 || from == until)) {
    append_lost(batch.text(), channel, output_.stream(), sent_, from);
    sent_ = from;
  }
  if (count > 0) {
    append_data_header(batch.text(), channel, output_.stream(), sent_, count);
    batch.append(ring.read(sent_, count));
    sent_ += count;
    credit -= static_cast<uint32_t>(count);
  }
  if (owes_end()) {
    append_end(batch.text(), channel, output_.stream(), sent_);
    end_sent_ = true;
  }
  return count;
}

}  // namespace plybox

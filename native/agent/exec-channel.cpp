#include "agent/exec-channel.h"

namespace plybox {

ExecChannel::ExecChannel(ChannelOwner& owner, uint32_t number, Exec& exec, const uint64_t (&offsets)[2])
    : Channel(owner, number), exec_(exec), sender_(exec, offsets) {
  exec_.listen(*this);
}

void ExecChannel::finished() {
  finished_ = true;
  sender_.finish();
  owner_.touch();
}

bool ExecChannel::has_more() const {
  if (done_) return false;
  return (finished_ && sender_.all_sent()) || sender_.has_more(credit_);
}

void ExecChannel::produce(Batch& batch, size_t most) {
  sender_.produce(batch, number_, most, credit_);
  if (!finished_ || !sender_.all_sent()) return;
  append_frame(batch.text(), Kind::kExit, number_, exec_.report());
  done_ = true;
}

}  // namespace plybox

#include "agent/single/execution-channel.h"

#include "common/refusal.h"

namespace plybox::single {

bool ExecutionChannel::all_sent() const {
  return execution_.finished() && !streams_[0].has_more(1) && !streams_[1].has_more(1);
}

bool ExecutionChannel::has_more() const {
  return !done_ && (all_sent() || streams_[0].has_more(credit_) || streams_[1].has_more(credit_));
}

void ExecutionChannel::produce(Batch& batch, size_t most) {
  for (StreamSender& stream : streams_) most -= stream.produce(batch, number_, most, credit_);
  if (done_ || !all_sent()) return;
  const std::optional<Refusal>& refusal = execution_.refusal();
  append_frame(batch.text(), refusal ? Kind::kError : Kind::kExit, number_,
               refusal ? to_json(*refusal) : execution_.report());
  done_ = true;
}

}  // namespace plybox::single

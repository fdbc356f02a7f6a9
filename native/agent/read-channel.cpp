#include "agent/read-channel.h"

#include "common/json.h"

namespace plybox {

ReadChannel::ReadChannel(ChannelOwner& owner, uint32_t number, Exec& exec, const ReadRequest& request)
    : Channel(owner, number), exec_(exec), sender_(exec, request.offsets) {
  exec_.start_reading(*this);
  if (!request.follow || exec_.finished()) finish();
}

void ReadChannel::finished() {
  if (!finished_) finish();
}

void ReadChannel::finish() {
  finished_ = true;
  sender_.finish();
  // As it is now: a command that goes on has written more by the time that the last byte is sent.
  JsonWriter json;
  json.begin_object().key("report");
  exec_.finished() ? json.raw(exec_.report()) : json.null();
  json.end_object();
  exit_ = json.text();
  owner_.touch();
}

bool ReadChannel::has_more() const {
  if (done_) return false;
  return (finished_ && sender_.all_sent()) || sender_.has_more(credit_);
}

void ReadChannel::produce(Batch& batch, size_t most) {
  sender_.produce(batch, number_, most, credit_);
  if (!finished_ || !sender_.all_sent()) return;
  append_frame(batch.text(), Kind::kExit, number_, exit_);
  done_ = true;
}

}  // namespace plybox

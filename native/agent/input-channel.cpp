#include "agent/input-channel.h"

namespace plybox {

InputChannel::InputChannel(ChannelOwner& owner, uint32_t number, Exec& exec) : Channel(owner, number), exec_(&exec) {
  exec.feed_from(*this);
  exec.await(*this);
}

InputChannel::~InputChannel() {
  if (exec_ == nullptr) return;
  exec_->stop_feeding(*this);
  exec_->stop_awaiting(*this);
}

void InputChannel::finished(const std::string& report) {
  report_ = report;
  exec_->stop_feeding(*this);
  exec_ = nullptr;
  owner_.touch();
}

void InputChannel::produce(Batch& batch, size_t) {
  if (!has_more()) return;
  append_frame(batch.text(), Kind::kExit, number_, report_);
  done_ = true;
}

}  // namespace plybox

#include "agent/wait-channel.h"

namespace plybox {

WaitChannel::WaitChannel(ChannelOwner& owner, uint32_t number, Exec& exec) : Channel(owner, number), exec_(&exec) {
  exec.await(*this);
}

WaitChannel::~WaitChannel() {
  if (exec_ != nullptr) exec_->stop_awaiting(*this);
}

void WaitChannel::finished(const std::string& report) {
  report_ = report;
  exec_ = nullptr;
  owner_.touch();
}

void WaitChannel::produce(Batch& batch, size_t) {
  if (!has_more()) return;
  append_frame(batch.text(), Kind::kExit, number_, report_);
  done_ = true;
}

}  // namespace plybox

// One command's stdin as one connection feeds it, while its output may be somebody else's.
#pragma once
#include <string>

#include "agent/channel.h"
#include "agent/exec.h"

namespace plybox {

class InputChannel final : public Channel, public ExecFeeder, public ExecWaiter {
 public:
  InputChannel(ChannelOwner& owner, uint32_t number, Exec& exec);
  ~InputChannel() override;

  Input* input() override { return exec_ == nullptr ? nullptr : &exec_->input(); }
  bool is_deaf() const override { return exec_ == nullptr; }
  void produce(Batch& batch, size_t most) override;
  bool has_more() const override { return !report_.empty() && !done_; }
  void produced() override {}

  void input_taken(size_t count) override { grant(count); }
  void dismiss(const Refusal& reason) override { owner_.end_channel(*this, reason); }
  void finished(const std::string& report) override;

 private:
  // Nullptr once it has finished: it may be forgotten before the report has been sent.
  Exec* exec_;
  std::string report_;
};

}  // namespace plybox

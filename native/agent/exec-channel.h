// One command as one connection hears it: what has been sent of its streams.
#pragma once
#include "agent/channel.h"
#include "agent/exec-sender.h"
#include "agent/exec.h"

namespace plybox {

class ExecChannel final : public Channel, public ExecListener {
 public:
  // Hears the command's streams from `offsets` on.
  ExecChannel(ChannelOwner& owner, uint32_t number, Exec& exec, const uint64_t (&offsets)[2]);
  ~ExecChannel() override { exec_.stop_listening(*this); }

  Input* input() override { return &exec_.input(); }
  bool is_deaf() const override { return exec_.has_feeder(); }
  void produce(Batch& batch, size_t most) override;
  bool has_more() const override;
  void produced() override { exec_.resume_reading(); }

  uint64_t sent(uint8_t stream) const override { return sender_.sent(stream); }
  void touch() override { owner_.touch(); }
  void input_taken(size_t count) override { grant(count); }
  void finished() override;
  void dismiss(const Refusal& reason) override { owner_.end_channel(*this, reason); }

 private:
  Exec& exec_;
  ExecSender sender_;
  bool finished_ = false;
};

}  // namespace plybox

// What is kept of a command's output, as one connection reads it beside whoever listens.
#pragma once
#include <string>

#include "agent/channel.h"
#include "agent/exec-sender.h"
#include "agent/exec.h"

namespace plybox {

class ReadChannel final : public Channel, public ExecReader {
 public:
  ReadChannel(ChannelOwner& owner, uint32_t number, Exec& exec, const ReadRequest& request);
  ~ReadChannel() override { exec_.stop_reading(*this); }

  Input* input() override { return nullptr; }
  void produce(Batch& batch, size_t most) override;
  bool has_more() const override;
  // The command has not waited for it.
  void produced() override {}

  void touch() override { owner_.touch(); }
  void finished() override;
  void dismiss(const Refusal& reason) override { owner_.end_channel(*this, reason); }

 private:
  // Reads no further than now.
  void finish();

  Exec& exec_;
  ExecSender sender_;
  bool finished_ = false;
  std::string exit_;  // JSON of the last frame; only where finished_
};

}  // namespace plybox

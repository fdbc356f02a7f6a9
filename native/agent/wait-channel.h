// One command's end as one connection waits for it: no streams, and nobody's place taken.
#pragma once
#include <string>

#include "agent/channel.h"
#include "agent/exec.h"

namespace plybox {

class WaitChannel final : public Channel, public ExecWaiter {
 public:
  WaitChannel(ChannelOwner& owner, uint32_t number, Exec& exec);
  ~WaitChannel() override;

  Input* input() override { return nullptr; }
  void produce(Batch& batch, size_t most) override;
  bool has_more() const override { return !report_.empty() && !done_; }
  void produced() override {}

  void finished(const std::string& report) override;

 private:
  // Nullptr once it has finished: it may be forgotten before the report has been sent.
  Exec* exec_;
  std::string report_;
};

}  // namespace plybox

#pragma once
#include "agent/channel.h"
#include "agent/single/execution.h"
#include "agent/stream-sender.h"

namespace plybox::single {

// An execution as its host hears it. Where the channel ends before the execution, so does the execution.
class ExecutionChannel final : public Channel, public ExecutionListener {
 public:
  ExecutionChannel(ChannelOwner& owner, uint32_t number, Execution& execution)
      : Channel(owner, number), execution_(execution), streams_{{execution_.output(1), 0}, {execution_.output(2), 0}} {
    execution_.listen(this);
  }
  ~ExecutionChannel() override { execution_.abandon(); }

  Input* input() override { return &execution_.input(); }
  void produce(Batch& batch, size_t most) override;
  bool has_more() const override;
  void produced() override {}

  void touch() override { owner_.touch(); }
  void input_taken(size_t count) override { grant(count); }
  void progress(const std::string& json) override { append_frame(owner_.outgoing(), Kind::kProgress, number_, json); }

 private:
  bool all_sent() const;

  Execution& execution_;
  StreamSender streams_[2];
};

}  // namespace plybox::single

// A connection to something that listens in the sandbox, as a channel: stream 0 goes there, stream 1 comes from there.
#pragma once
#include <optional>
#include <vector>

#include "agent/channel.h"
#include "agent/dialer.h"
#include "agent/output.h"

namespace plybox {

class DialChannel final : public Channel, public DialerOwner, public InputOwner, public OutputOwner {
 public:
  DialChannel(ChannelOwner& owner, uint32_t number, EventLoop& loop, std::vector<SocketAddress> addresses);
  ~DialChannel() override;

  Input* input() override { return connected_ ? &input_ : nullptr; }
  void produce(Batch& batch, size_t most) override;
  bool has_more() const override;
  void produced() override { output_.resume(); }

 private:
  void connected(UniqueFd socket) override;
  void not_connected(const Refusal& reason) override;
  void input_taken(size_t count) override { grant(count); }
  void input_closed() override { owner_.touch(); }
  uint64_t unsent_from(uint8_t) const override { return sent_; }
  uint64_t output_allowance() const override { return UINT64_MAX; }
  void output_grew() override { owner_.touch(); }
  void output_ended() override { owner_.touch(); }
  void output_limit_hit() override {}

  uint64_t unsent() const { return output_.ring().end() - sent_; }
  bool owes_end() const;
  void produce_bytes(Batch& batch, size_t most);
  void produce_end(Batch& batch);
  void fail(Batch& batch, const Refusal& reason);

  Dialer dialer_;
  Input input_;
  Output output_;
  std::optional<Refusal> refusal_;
  uint64_t sent_ = 0;
  bool connected_ = false;
  bool ack_sent_ = false;
  bool end_sent_ = false;
};

}  // namespace plybox

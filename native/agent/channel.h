// One command as one connection hears it: what has been sent of its streams, and the credit of both directions.
#pragma once
#include <cstdint>

#include "agent/batch.h"
#include "agent/exec.h"
#include "common/frame.h"

namespace plybox {

class Channel;

class ChannelOwner {
 public:
  // The channel has something to send.
  virtual void touch() = 0;
  // Ends the channel with an `error` frame; destroys it.
  virtual void end_channel(Channel& channel, const Refusal& reason) = 0;
  // Sends a frame.
  virtual std::string& outgoing() = 0;

 protected:
  ~ChannelOwner() = default;
};

class Channel final : public ExecListener {
 public:
  // Hears the command's streams from `offsets` on.
  Channel(ChannelOwner& owner, uint32_t number, Exec& exec, const uint64_t (&offsets)[2]);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() { exec_.stop_listening(*this); }

  uint32_t number() const { return number_; }
  Exec& exec() { return exec_; }

  // Of the host's bytes for stdin: whether they are within what was granted.
  bool spend_window(size_t count);
  // Answers false when credit adds up to more than there may be.
  bool add_credit(uint32_t count);

  // Adds its next frames to `batch`: at most `most` bytes of data.
  void produce(Batch& batch, size_t most);
  // Whether produce() would add anything.
  bool has_more() const;
  // `exit` has been added: the channel has ended.
  bool done() const { return done_; }

  uint64_t sent(uint8_t stream) const override { return streams_[stream - 1].sent; }
  void touch() override { owner_.touch(); }
  void input_taken(size_t count) override;
  void finished() override;
  void dismiss(const Refusal& reason) override { owner_.end_channel(*this, reason); }

 private:
  struct Stream {
    uint64_t sent;
    bool end_sent = false;
    // Where the stream stood when the command finished; `exit` waits for no more.
    uint64_t last = UINT64_MAX;
  };
  size_t produce_stream(Batch& batch, uint8_t number, size_t most);
  uint64_t sendable(uint8_t number) const;
  bool owes_end(uint8_t number) const;
  bool all_sent() const;

  ChannelOwner& owner_;
  uint32_t number_;
  Exec& exec_;
  Stream streams_[2];
  uint8_t first_stream_ = 1;  // whose turn it is to go first
  uint32_t credit_ = kInitialCredit;
  uint32_t window_ = kInitialCredit;
  uint32_t owed_ = 0;  // taken from stdin, not yet granted anew
  bool finished_ = false;
  bool done_ = false;
};

}  // namespace plybox

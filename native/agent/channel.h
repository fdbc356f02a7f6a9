// One channel of a connection that carries streams: the credit of both directions. What the bytes are is its kinds'.
#pragma once
#include <cstdint>
#include <string>

#include "agent/batch.h"
#include "agent/input.h"
#include "common/frame.h"
#include "common/refusal.h"

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

class Channel {
 public:
  Channel(ChannelOwner& owner, uint32_t number) : owner_(owner), number_(number) {}
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  virtual ~Channel() = default;

  uint32_t number() const { return number_; }

  // Of the host's bytes: whether they are within what was granted.
  bool spend_window(size_t count);
  // Answers false when credit adds up to more than there may be.
  bool add_credit(uint32_t count);

  // Passes over the host's bytes: they are for a stream that has ended, or that another channel has taken over.
  virtual bool is_deaf() const { return false; }
  // Where the host's bytes go; nullptr while none may come.
  virtual Input* input() = 0;
  // Adds its next frames to `batch`: at most `most` bytes of data.
  virtual void produce(Batch& batch, size_t most) = 0;
  // Whether produce() would add anything.
  virtual bool has_more() const = 0;
  // What produce() added has been sent or copied, so that there may be room to read on.
  virtual void produced() = 0;
  // The last frame has been added: the channel has ended.
  bool done() const { return done_; }

 protected:
  // Bytes from the host need no room any more.
  void grant(size_t count);

  ChannelOwner& owner_;
  uint32_t number_;
  uint32_t credit_ = kInitialCredit;
  bool done_ = false;

 private:
  uint32_t window_ = kInitialCredit;
  uint32_t owed_ = 0;  // taken, not yet granted anew
};

}  // namespace plybox

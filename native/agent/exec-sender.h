// What has been sent of both output streams of a command on one channel.
#pragma once
#include "agent/exec.h"
#include "agent/stream-sender.h"

namespace plybox {

class ExecSender {
 public:
  // From `offsets` of stdout and stderr on.
  ExecSender(const Exec& exec, const uint64_t (&offsets)[2])
      : streams_{{exec.output(1), offsets[0]}, {exec.output(2), offsets[1]}} {}

  uint64_t sent(uint8_t stream) const { return streams_[stream - 1].sent(); }
  // Nothing is sent of what comes after this moment.
  void finish();
  // Of what came before finish().
  bool all_sent() const;
  bool has_more(uint32_t credit) const;
  // At most `most` bytes of data, which are taken from `credit`.
  void produce(Batch& batch, uint32_t channel, size_t most, uint32_t& credit);

 private:
  StreamSender streams_[2];
  size_t first_ = 0;  // whose turn it is to go first
};

}  // namespace plybox

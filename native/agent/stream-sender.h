// What has been sent of one output stream on one channel.
#pragma once
#include <cstdint>

#include "agent/batch.h"
#include "agent/output.h"

namespace plybox {

class StreamSender {
 public:
  StreamSender(const Output& output, uint64_t from) : output_(output), sent_(from) {}

  uint64_t sent() const { return sent_; }
  // Nothing is sent of what comes after this moment.
  void finish() { last_ = output_.ring().end(); }
  // Of what came before finish().
  bool all_sent() const { return sent_ >= last_; }
  bool has_more(uint32_t credit) const { return owes_end() || (credit > 0 && sent_ < sendable()); }
  // Adds `lost`, `data` and `end` as they are due; answers how many bytes of data, which it takes from `credit`.
  size_t produce(Batch& batch, uint32_t channel, size_t most, uint32_t& credit);

 private:
  uint64_t sendable() const;
  bool owes_end() const;

  const Output& output_;
  uint64_t sent_;
  bool end_sent_ = false;
  uint64_t last_ = UINT64_MAX;
};

}  // namespace plybox

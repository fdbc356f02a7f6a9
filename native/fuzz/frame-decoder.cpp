// The frame decoder: whatever the bytes and however they are cut, it keeps its bounds, and chunks change nothing.
#include <cstdlib>

#include "common/frame.h"

using namespace plybox;

namespace {

uint64_t digest(uint64_t sum, std::string_view bytes) {
  for (char c : bytes) sum = (sum ^ static_cast<uint8_t>(c)) * 1099511628211u;
  return sum;
}

// A digest of all frames and of where the decoder stopped.
uint64_t decode(std::string_view bytes, size_t chunk_bytes) {
  FrameDecoder decoder;
  uint64_t sum = 14695981039346656037u;
  while (!bytes.empty()) {
    std::string chunk(bytes.substr(0, chunk_bytes));
    bytes.remove_prefix(chunk.size());
    decoder.feed(chunk);
    Frame frame;
    FrameDecoder::Step step;
    while ((step = decoder.next(frame)) == FrameDecoder::Step::kFrame) {
      if (frame.payload.size() > kMaxLength - kMinLength) std::abort();
      if (payload_problem(frame) == nullptr && frame.kind == Kind::kData && parse_data(frame.payload)->stream > 2)
        std::abort();
      sum = digest(sum + static_cast<uint64_t>(frame.kind) * 31 + frame.channel, frame.payload);
    }
    if (decoder.buffered() > kMaxLength + 4) std::abort();
    if (step == FrameDecoder::Step::kBad) return sum + 1;
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  uint64_t whole = decode(bytes, bytes.size() + 1);
  for (size_t chunk : {size_t{1}, size_t{2}, size_t{7}, size_t{64}}) {
    if (decode(bytes, chunk) != whole) std::abort();
  }
  return 0;
}

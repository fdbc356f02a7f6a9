// The frame codec: docs/protocol.md §1.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace plybox {

enum class Kind : uint8_t {
  kHello = 1,
  kOpen = 2,
  kAck = 3,
  kData = 4,
  kEnd = 5,
  kCredit = 6,
  kExit = 7,
  kError = 8,
  kClose = 9,
  kLost = 10,
  kProgress = 11,
};

constexpr uint32_t kMinLength = 5;
constexpr uint32_t kMaxLength = 1048576;
constexpr size_t kFrameHeader = 9;  // length, kind, channel
constexpr size_t kDataHeader = 9;   // stream, offset
constexpr uint32_t kInitialCredit = 262144;
constexpr uint32_t kMaxCredit = 0x7fffffff;
// 2^53 - 1: exact in every JSON reader.
constexpr uint64_t kMaxOffset = 9007199254740991;
// The most data bytes that one frame carries.
constexpr size_t kMaxDataBytes = kMaxLength - kMinLength - kDataHeader;

struct FrameHeader {
  uint32_t length;
  Kind kind;
  uint32_t channel;
};

// Why these first bytes, as many as there are, cannot be a frame's; or null.
const char* header_problem(std::string_view header);
// Of kFrameHeader bytes without such a problem.
FrameHeader read_header(const char* bytes);

struct Frame {
  Kind kind;
  uint32_t channel;
  std::string_view payload;
};

// Cuts a byte stream into frames, whatever its chunks. Never holds more than one frame, and judges a length and a kind
// as soon as their bytes are there, before anything is kept for them.
class FrameDecoder {
 public:
  enum class Step {
    kFrame,     // `frame` is set; its payload is valid until the next call of next() or feed()
    kNeedMore,  // every byte fed has been taken
    kBad,       // a protocol error: `problem()` says which; the decoder stays in this state
  };

  // `chunk` must live until next() has answered kNeedMore or kBad. Only to be called when next() asked for more.
  void feed(std::string_view chunk) { chunk_ = chunk; }
  Step next(Frame& frame);
  const char* problem() const { return problem_; }
  // What has been fed and not been asked for yet, behind the frame that next() has just answered.
  std::string_view rest() const { return chunk_; }
  // Bytes kept of a frame that is not complete.
  size_t buffered() const { return partial_.size(); }

 private:
  Step whole(std::string_view bytes, Frame& frame);

  std::string_view chunk_;
  std::string partial_;
  bool partial_taken_ = false;
  const char* problem_ = nullptr;
};

// The payload of `data`; of `end` with no bytes.
struct Data {
  uint8_t stream;
  uint64_t offset;
  std::string_view bytes;
};
struct Lost {
  uint8_t stream;
  uint64_t from;
  uint64_t to;
};

// Nothing when the payload has not the form that its kind demands.
std::optional<Data> parse_data(std::string_view payload);
std::optional<Data> parse_end(std::string_view payload);
std::optional<uint32_t> parse_credit(std::string_view payload);
std::optional<Lost> parse_lost(std::string_view payload);
// The reason why the payload of a frame has not the form of its kind, or null. JSON is not looked into.
const char* payload_problem(const Frame& frame);

// Append one frame. The caller keeps `payload` within kMaxLength - kMinLength.
void append_frame(std::string& out, Kind kind, uint32_t channel, std::string_view payload);
// Appends the headers of a `data` frame whose `count` bytes follow separately.
void append_data_header(std::string& out, uint32_t channel, uint8_t stream, uint64_t offset, size_t count);
void append_end(std::string& out, uint32_t channel, uint8_t stream, uint64_t offset);
void append_credit(std::string& out, uint32_t channel, uint32_t bytes);
void append_lost(std::string& out, uint32_t channel, uint8_t stream, uint64_t from, uint64_t to);

}  // namespace plybox

#include "common/frame.h"

#include <algorithm>

namespace plybox {
namespace {

template <typename Integer>
Integer read_le(const char* bytes) {
  Integer value = 0;
  for (size_t i = sizeof(Integer); i-- > 0;) value = static_cast<Integer>(value << 8 | static_cast<uint8_t>(bytes[i]));
  return value;
}

template <typename Integer>
void append_le(std::string& out, Integer value) {
  for (size_t i = 0; i < sizeof(Integer); i++) out.push_back(static_cast<char>(value >> (8 * i)));
}

void append_header(std::string& out, Kind kind, uint32_t channel, size_t payload_bytes) {
  append_le(out, static_cast<uint32_t>(kMinLength + payload_bytes));
  out.push_back(static_cast<char>(kind));
  append_le(out, channel);
}

bool is_kind(char byte) { return byte >= 1 && byte <= 11; }

}  // namespace

const char* header_problem(std::string_view header) {
  if (header.size() >= 4) {
    uint32_t length = read_le<uint32_t>(header.data());
    if (length < kMinLength) return "a frame is shorter than its kind and channel";
    if (length > kMaxLength) return "a frame is longer than 1048576 bytes";
  }
  if (header.size() >= 5 && !is_kind(header[4])) return "a frame is of an unknown kind";
  return nullptr;
}

FrameHeader read_header(const char* bytes) {
  return {read_le<uint32_t>(bytes), static_cast<Kind>(bytes[4]), read_le<uint32_t>(bytes + 5)};
}

FrameDecoder::Step FrameDecoder::whole(std::string_view bytes, Frame& frame) {
  frame = {static_cast<Kind>(bytes[4]), read_le<uint32_t>(bytes.data() + 5), bytes.substr(kFrameHeader)};
  return Step::kFrame;
}

FrameDecoder::Step FrameDecoder::next(Frame& frame) {
  if (problem_ != nullptr) return Step::kBad;
  if (partial_taken_) {
    // Gives the memory back: most frames arrive whole and need no copy.
    std::string().swap(partial_);
    partial_taken_ = false;
  }
  for (;;) {
    std::string_view head = partial_.empty() ? chunk_ : std::string_view(partial_);
    problem_ = header_problem(head.substr(0, kFrameHeader));
    if (problem_ != nullptr) return Step::kBad;
    size_t wanted = head.size() < kFrameHeader ? kFrameHeader : 4 + size_t{read_le<uint32_t>(head.data())};
    if (head.size() >= wanted && head.size() >= kFrameHeader) {
      if (!partial_.empty()) {
        partial_taken_ = true;
        return whole(partial_, frame);
      }
      chunk_.remove_prefix(wanted);
      return whole(head.substr(0, wanted), frame);
    }
    if (chunk_.empty()) return Step::kNeedMore;
    size_t taken = std::min(wanted - partial_.size(), chunk_.size());
    partial_.append(chunk_.substr(0, taken));
    chunk_.remove_prefix(taken);
  }
}

std::optional<Data> parse_data(std::string_view payload) {
  if (payload.size() < kDataHeader) return std::nullopt;
  Data data{static_cast<uint8_t>(payload[0]), read_le<uint64_t>(payload.data() + 1), payload.substr(kDataHeader)};
  if (data.stream > 2 || data.offset > kMaxOffset - data.bytes.size()) return std::nullopt;
  return data;
}

std::optional<Data> parse_end(std::string_view payload) {
  if (payload.size() != kDataHeader) return std::nullopt;
  return parse_data(payload);
}

std::optional<uint32_t> parse_credit(std::string_view payload) {
  if (payload.size() != 4) return std::nullopt;
  return read_le<uint32_t>(payload.data());
}

std::optional<Lost> parse_lost(std::string_view payload) {
  if (payload.size() != 17) return std::nullopt;
  Lost lost{static_cast<uint8_t>(payload[0]), read_le<uint64_t>(payload.data() + 1),
            read_le<uint64_t>(payload.data() + 9)};
  if (lost.stream > 2 || lost.from > lost.to || lost.to > kMaxOffset) return std::nullopt;
  return lost;
}

const char* payload_problem(const Frame& frame) {
  switch (frame.kind) {
    case Kind::kData:
      return parse_data(frame.payload) ? nullptr : "a data frame has no stream and offset";
    case Kind::kEnd:
      return parse_end(frame.payload) ? nullptr : "an end frame is not one stream and offset";
    case Kind::kCredit:
      return parse_credit(frame.payload) ? nullptr : "a credit frame is not 4 bytes";
    case Kind::kLost:
      return parse_lost(frame.payload) ? nullptr : "a lost frame is not one stream and two offsets";
    case Kind::kClose:
      return frame.payload.empty() ? nullptr : "a close frame is not empty";
    case Kind::kHello:
    case Kind::kOpen:
    case Kind::kAck:
    case Kind::kExit:
    case Kind::kError:
    case Kind::kProgress:
      return nullptr;
  }
  return "a frame is of an unknown kind";
}

void append_frame(std::string& out, Kind kind, uint32_t channel, std::string_view payload) {
  append_header(out, kind, channel, payload.size());
  out.append(payload);
}

void append_data_header(std::string& out, uint32_t channel, uint8_t stream, uint64_t offset, size_t count) {
  append_header(out, Kind::kData, channel, kDataHeader + count);
  out.push_back(static_cast<char>(stream));
  append_le(out, offset);
}

void append_end(std::string& out, uint32_t channel, uint8_t stream, uint64_t offset) {
  append_header(out, Kind::kEnd, channel, kDataHeader);
  out.push_back(static_cast<char>(stream));
  append_le(out, offset);
}

void append_credit(std::string& out, uint32_t channel, uint32_t bytes) {
  append_header(out, Kind::kCredit, channel, 4);
  append_le(out, bytes);
}

void append_lost(std::string& out, uint32_t channel, uint8_t stream, uint64_t from, uint64_t to) {
  append_header(out, Kind::kLost, channel, 17);
  out.push_back(static_cast<char>(stream));
  append_le(out, from);
  append_le(out, to);
}

}  // namespace plybox

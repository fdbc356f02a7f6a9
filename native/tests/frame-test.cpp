#include "common/frame.h"

#include <doctest/doctest.h>

#include <random>
#include <vector>

using namespace plybox;

namespace {

struct Owned {
  Kind kind;
  uint32_t channel;
  std::string payload;
  bool operator==(const Owned&) const = default;
};

// Feeds `bytes` in chunks of the sizes that `next_size` answers.
template <typename NextSize>
std::vector<Owned> decode(std::string_view bytes, NextSize next_size, const char** problem) {
  FrameDecoder decoder;
  std::vector<Owned> frames;
  *problem = nullptr;
  while (!bytes.empty()) {
    // A copy of its own, so that the sanitizer sees a view that outlives its chunk.
    std::string chunk(bytes.substr(0, next_size()));
    bytes.remove_prefix(chunk.size());
    decoder.feed(chunk);
    Frame frame;
    for (;;) {
      FrameDecoder::Step step = decoder.next(frame);
      if (step == FrameDecoder::Step::kNeedMore) break;
      if (step == FrameDecoder::Step::kBad) {
        *problem = decoder.problem();
        return frames;
      }
      frames.push_back({frame.kind, frame.channel, std::string(frame.payload)});
    }
  }
  return frames;
}

}  // namespace

TEST_CASE("frames survive any chunking") {
  std::mt19937 random(1);
  std::vector<Owned> frames;
  std::string bytes;
  for (size_t size : {0, 1, 9, 4096, 65536, 0, 1048571, 3}) {
    std::string payload(size, '\0');
    for (char& c : payload) c = static_cast<char>(random());
    frames.push_back({static_cast<Kind>(1 + random() % 10), static_cast<uint32_t>(random()), payload});
    append_frame(bytes, frames.back().kind, frames.back().channel, payload);
  }
  const char* problem;
  CHECK(decode(
            bytes, [&] { return bytes.size(); }, &problem) == frames);
  CHECK(decode(
            bytes, [] { return size_t{1}; }, &problem) == frames);
  for (int round = 0; round < 20; round++) {
    CHECK(decode(
              bytes, [&] { return 1 + random() % 100000; }, &problem) == frames);
    CHECK(problem == nullptr);
  }
}

TEST_CASE("a length out of range is refused before anything is kept") {
  for (std::string_view header : {std::string_view("\x04\0\0\0", 4), std::string_view("\0\0\0\0", 4),
                                  std::string_view("\x01\0\x10\0", 4), std::string_view("\xff\xff\xff\xff", 4)}) {
    FrameDecoder decoder;
    Frame frame;
    decoder.feed(header);
    CHECK(decoder.next(frame) == FrameDecoder::Step::kBad);
    CHECK(decoder.buffered() == 0);
    decoder.feed("anything");
    CHECK(decoder.next(frame) == FrameDecoder::Step::kBad);
  }
}

TEST_CASE("an unknown kind is refused with the fifth byte") {
  for (char kind : {'\0', '\x0c', '\x7f', '\xff'}) {
    const char* problem;
    std::string bytes("\x05\0\0\0", 4);
    bytes += kind;
    CHECK(decode(
              bytes, [] { return size_t{1}; }, &problem)
              .empty());
    CHECK(problem != nullptr);
  }
}

TEST_CASE("the longest and the shortest frame are within bounds") {
  std::string bytes;
  append_frame(bytes, Kind::kAck, 1, std::string(kMaxLength - kMinLength, 'x'));
  append_frame(bytes, Kind::kClose, 4294967295u, "");
  const char* problem;
  std::vector<Owned> frames = decode(
      bytes, [] { return size_t{65536}; }, &problem);
  REQUIRE(problem == nullptr);
  REQUIRE(frames.size() == 2);
  CHECK(frames[1].channel == 4294967295u);
}

TEST_CASE("payloads that are cut short or out of range are refused") {
  auto problem = [](Kind kind, std::string_view payload) { return payload_problem({kind, 1, payload}) != nullptr; };
  std::string nine(9, '\0');
  CHECK_FALSE(problem(Kind::kData, nine));
  CHECK(problem(Kind::kData, nine.substr(1)));
  CHECK(problem(Kind::kData, std::string("\x03") + nine.substr(1)));
  CHECK(problem(Kind::kEnd, nine + "x"));
  CHECK(problem(Kind::kCredit, "abc"));
  CHECK(problem(Kind::kCredit, "abcde"));
  CHECK(problem(Kind::kClose, "x"));
  std::string late = std::string(1, '\1') + std::string("\xff\xff\xff\xff\xff\xff\x1f\0", 8);
  CHECK_FALSE(problem(Kind::kData, late));
  CHECK(problem(Kind::kData, late + "x"));
}

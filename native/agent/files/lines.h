// A stream of JSON objects, one a line, sent in large pieces.
#pragma once
#include <limits.h>

#include <string>

#include "agent/clock.h"
#include "agent/files/request.h"
#include "agent/files/session.h"

namespace plybox {

// What lies below a path that is longer is not told of: nobody could ask for it by its whole path.
constexpr size_t kLongestPath = PATH_MAX;

// The daemon takes a longer line for a breach of the protocol.
constexpr size_t kLongestLine = 524288;
// Six bytes for one: a control character, escaped. A path, a name in it and a target; two paths; a path and a match.
constexpr size_t kLongestName = kLongestPath + 1 + NAME_MAX;
constexpr size_t kFields = 1024;  // all else in a line
static_assert(6 * (kLongestName + NAME_MAX + PATH_MAX) + kFields <= kLongestLine);
static_assert(6 * (2 * kLongestName) + kFields <= kLongestLine);
static_assert(6 * (kLongestName + kMostContext) + kFields <= kLongestLine);

class Lines {
 public:
  explicit Lines(Session& session) : session_(session) {}
  void add(const std::string& json) {
    text_.append(json).append("\n");
    if (text_.size() >= kPieceBytes) flush();
  }
  void flush() {
    session_.send(text_);
    text_.clear();
    flushed_us_ = now_us();
  }
  // So that what comes slowly is seen before much of it has come.
  void flush_if_old() {
    if (!text_.empty() && now_us() - flushed_us_ >= kPatienceUs) flush();
  }

 private:
  static constexpr size_t kPieceBytes = 65536;
  static constexpr uint64_t kPatienceUs = 50000;
  Session& session_;
  std::string text_;
  uint64_t flushed_us_ = now_us();
};

}  // namespace plybox

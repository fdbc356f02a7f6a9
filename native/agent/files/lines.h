// A stream of JSON objects, one a line, sent in large pieces.
#pragma once
#include <string>

#include "agent/clock.h"
#include "agent/files/session.h"

namespace plybox {

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

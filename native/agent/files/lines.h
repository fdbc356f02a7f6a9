// A stream of JSON objects, one a line, sent in large pieces.
#pragma once
#include <string>

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
  }

 private:
  static constexpr size_t kPieceBytes = 65536;
  Session& session_;
  std::string text_;
};

}  // namespace plybox

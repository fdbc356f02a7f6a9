// What one connection sends: frames, with the bytes of commands taken straight from their rings.
#pragma once
#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "agent/ring.h"

namespace plybox {

class Batch {
 public:
  // Frames are appended here.
  std::string& text() { return text_; }
  // The memory of `region` follows what is in text() so far. It must stay as it is until send().
  void append(const Region& region);

  // While nothing has been appended but text: what waits.
  std::string_view unsent() const { return std::string_view(text_).substr(sent_); }
  bool empty() const { return text_.size() == sent_ && cuts_.empty(); }
  // Bytes that wait.
  size_t size() const;
  // One send that does not block. What the socket did not take is kept as text, so that rings may change afterwards.
  // Answers false when the connection is dead.
  bool send(int socket);

 private:
  void keep_rest(size_t sent);

  struct Cut {
    size_t text_end;  // the memory stands after this much of the text
    iovec memory;
  };
  std::string text_;
  size_t sent_ = 0;  // of text_
  std::vector<Cut> cuts_;
};

}  // namespace plybox

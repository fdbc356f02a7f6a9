// Pages on their way between a file or a socket and another: nobody copies them.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/unique-fd.h"

namespace plybox {

class Conduit {
 public:
  // For `bytes` at once; where a pipe may not be that large, more and smaller pieces go through it. Answers whether it
  // can be used.
  bool open(int bytes) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    out_ = UniqueFd(ends[0]);
    in_ = UniqueFd(ends[1]);
    fcntl(in_.get(), F_SETPIPE_SZ, bytes);
    return true;
  }

  explicit operator bool() const { return static_cast<bool>(in_); }

  // Takes up to `want` bytes, of a file those at `*at`. Answers as splice(2): 0 at the end, -1 with errno.
  ssize_t fill(int from, size_t want, off64_t* at = nullptr) {
    return again([&] { return splice(from, at, in_.get(), nullptr, want, SPLICE_F_MOVE); });
  }

  // Gives away up to `count` of the bytes that were taken; answers as splice(2).
  ssize_t empty(int to, size_t count) {
    return again([&] { return splice(out_.get(), nullptr, to, nullptr, count, SPLICE_F_MOVE); });
  }

  // As `fill`'s other end: what was taken comes as bytes.
  ssize_t read(char* to, size_t count) {
    return again([&] { return ::read(out_.get(), to, count); });
  }

  void close() {
    in_.reset();
    out_.reset();
  }

 private:
  template <typename Call>
  static ssize_t again(Call call) {
    ssize_t count;
    do count = call();
    while (count < 0 && errno == EINTR);
    return count;
  }

  UniqueFd out_;
  UniqueFd in_;
};

}  // namespace plybox

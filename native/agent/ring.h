// What one output stream of a command has written lately, addressed by offset.
#pragma once
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace plybox {

// One or two pieces of memory that follow each other in the stream.
struct Region {
  iovec pieces[2];
  int count = 0;

  size_t size() const {
    size_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += pieces[i].iov_len;
    return bytes;
  }
};

// Keeps the last bytes of a stream, at most `limit` of them. Its memory grows with what is written: none before the
// first byte, then 4 KiB doubling up to `limit`.
class Ring {
 public:
  explicit Ring(size_t limit) : limit_(limit) {}
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() { release(); }

  // The ring holds bytes [begin, end) of the stream.
  uint64_t begin() const { return begin_; }
  uint64_t end() const { return end_; }

  // Room for up to `want` bytes at end(). Bytes from offset `keep` on are not written over, older ones may be.
  // Empty when there is no room.
  Region prepare(size_t want, uint64_t keep);
  // `count` bytes of the prepared region have been written.
  void commit(size_t count);
  // Whether there is memory to prepare() from; otherwise the first bytes come by append().
  bool has_memory() const { return memory_ != nullptr; }
  // Adds up to limit() bytes to a ring without memory. Where there is none to be had, the bytes are skipped.
  void append(const char* bytes, size_t count);
  size_t limit() const { return limit_; }
  // Up to `most` bytes from `offset` on, which lies within [begin, end].
  Region read(uint64_t offset, size_t most) const;
  // The stream went on by `count` bytes that are kept nowhere.
  void skip(uint64_t count);
  // Gives the memory back; the bytes are gone, the offsets stay.
  void release();
  // Nothing will be written any more: gives back the memory that holds nothing.
  void seal();

 private:
  bool resize(size_t capacity);
  Region region(uint64_t offset, size_t size) const;

  size_t limit_;
  size_t capacity_ = 0;
  char* memory_ = nullptr;
  uint64_t begin_ = 0;
  uint64_t end_ = 0;
};

}  // namespace plybox

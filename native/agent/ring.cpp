#include "agent/ring.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace plybox {
namespace {

constexpr size_t kFirstCapacity = 4096;

}  // namespace

// malloc and not operator new: a command may ask for more than there is, which must not end the agent.
bool Ring::resize(size_t capacity) {
  char* memory = static_cast<char*>(std::malloc(capacity));
  if (memory == nullptr) return false;
  for (uint64_t offset = begin_; offset < end_;) {
    size_t from = offset % capacity_, to = offset % capacity;
    size_t count = std::min({static_cast<size_t>(end_ - offset), capacity_ - from, capacity - to});
    std::memcpy(memory + to, memory_ + from, count);
    offset += count;
  }
  std::free(memory_);
  memory_ = memory;
  capacity_ = capacity;
  return true;
}

Region Ring::prepare(size_t want, uint64_t keep) {
  // Growing keeps history; writing over it comes only where the ring may grow no more.
  if (end_ - begin_ == capacity_ && capacity_ < limit_) {
    resize(std::min(limit_, std::max(kFirstCapacity, capacity_ * 2)));
  }
  size_t kept = static_cast<size_t>(end_ - begin_);
  size_t room = capacity_ - kept;
  if (room == 0) room = capacity_ - static_cast<size_t>(end_ - std::clamp(keep, begin_, end_));
  return region(end_, std::min(want, room));
}

void Ring::commit(size_t count) {
  end_ += count;
  if (end_ - begin_ > capacity_) begin_ = end_ - capacity_;
}

Region Ring::read(uint64_t offset, size_t most) const {
  return region(offset, std::min<uint64_t>(most, end_ - offset));
}

void Ring::append(const char* bytes, size_t count) {
  size_t capacity = kFirstCapacity;
  while (capacity < count) capacity *= 2;
  if (!resize(std::min(capacity, limit_))) return skip(count);
  Region room = prepare(count, end_);
  for (int i = 0; i < room.count; i++) {
    std::memcpy(room.pieces[i].iov_base, bytes, room.pieces[i].iov_len);
    bytes += room.pieces[i].iov_len;
  }
  commit(room.size());
}

void Ring::skip(uint64_t count) {
  end_ += count;
  begin_ = end_;
}

void Ring::release() {
  std::free(memory_);
  memory_ = nullptr;
  capacity_ = 0;
  begin_ = end_;
}

void Ring::seal() {
  size_t kept = static_cast<size_t>(end_ - begin_);
  if (kept == 0) {
    release();
  } else if (kept < capacity_) {
    resize(kept);
  }
}

Region Ring::region(uint64_t offset, size_t size) const {
  Region region;
  while (size > 0 && region.count < 2) {
    size_t at = offset % capacity_;
    size_t count = std::min(size, capacity_ - at);
    region.pieces[region.count++] = {memory_ + at, count};
    offset += count;
    size -= count;
  }
  return region;
}

}  // namespace plybox

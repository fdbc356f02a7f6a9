#include "agent/batch.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace plybox {

void Batch::append(const Region& region) {
  for (int i = 0; i < region.count; i++) cuts_.push_back({text_.size(), region.pieces[i]});
}

size_t Batch::size() const {
  size_t bytes = text_.size() - sent_;
  for (const Cut& cut : cuts_) bytes += cut.memory.iov_len;
  return bytes;
}

bool Batch::send(int socket) {
  std::vector<iovec> pieces;
  pieces.reserve(2 * cuts_.size() + 1);
  size_t start = sent_;
  for (const Cut& cut : cuts_) {
    if (cut.text_end > start) pieces.push_back({text_.data() + start, cut.text_end - start});
    pieces.push_back(cut.memory);
    start = cut.text_end;
  }
  if (text_.size() > start) pieces.push_back({text_.data() + start, text_.size() - start});
  if (pieces.empty()) return true;

  constexpr size_t kMostPieces = 1024;  // IOV_MAX
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = std::min(pieces.size(), kMostPieces);
  ssize_t count = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) return false;
  keep_rest(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  return true;
}

void Batch::keep_rest(size_t sent) {
  if (cuts_.empty()) {
    sent_ += sent;
    if (sent_ < text_.size()) return;
    // Keeps a little room for the next frames and gives back the rest.
    constexpr size_t kKeptCapacity = 4096;
    if (text_.capacity() > kKeptCapacity) std::string().swap(text_);
    text_.clear();
    sent_ = 0;
    return;
  }
  std::string rest;
  auto keep = [&](const char* bytes, size_t count) {
    size_t gone = std::min(sent, count);
    sent -= gone;
    rest.append(bytes + gone, count - gone);
  };
  size_t start = sent_;
  for (const Cut& cut : cuts_) {
    keep(text_.data() + start, cut.text_end - start);
    keep(static_cast<const char*>(cut.memory.iov_base), cut.memory.iov_len);
    start = cut.text_end;
  }
  keep(text_.data() + start, text_.size() - start);
  text_ = std::move(rest);
  sent_ = 0;
  cuts_.clear();
}

}  // namespace plybox

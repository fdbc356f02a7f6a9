#include "agent/input.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/terminal.h"

namespace plybox {
namespace {

// A host that attaches again gets a new window while what an earlier one sent still waits; this is where it stops.
constexpr size_t kMaxWaiting = 1 << 20;

}  // namespace

void Input::open(UniqueFd fd, Sink sink) {
  fd_ = std::move(fd);
  sink_ = sink;
}

Input::Accepted Input::accept(uint64_t at, std::string_view bytes) {
  if (at > offset_) return Accepted::kGap;
  size_t known = static_cast<size_t>(std::min<uint64_t>(offset_ - at, bytes.size()));
  take(known);
  bytes.remove_prefix(known);
  offset_ += bytes.size();
  if (!fd_ || ended_) {
    take(bytes.size());
    return Accepted::kYes;
  }
  // Straight into the pipe where nothing waits: no copy, no event.
  if (waiting_.empty()) bytes.remove_prefix(write_some(bytes));
  if (!fd_) {
    take(bytes.size());
    return Accepted::kYes;
  }
  if (waiting_.size() - written_ + bytes.size() > kMaxWaiting) {
    offset_ -= bytes.size();
    return Accepted::kFull;
  }
  waiting_.append(bytes);
  flush();
  return Accepted::kYes;
}

Input::Accepted Input::end(uint64_t at) {
  if (at > offset_) return Accepted::kGap;
  ended_ = true;
  flush();
  return Accepted::kYes;
}

void Input::shut() {
  if (watching_) loop_.unwatch(fd_.get(), *this);
  watching_ = false;
  fd_.reset();
}

void Input::close() {
  if (!fd_) return;
  shut();
  size_t dropped = waiting_.size() - written_;
  std::string().swap(waiting_);
  written_ = 0;
  take(dropped);
  owner_.input_closed();
}

void Input::tell_end() {
  if (sink_ == Sink::kSocket) shutdown(fd_.get(), SHUT_WR);
  if (sink_ != Sink::kTerminal) return;
  char character = end_of_input(fd_.get());
  if (character != '\0') (void)!write(fd_.get(), &character, 1);
}

void Input::ready(uint32_t) {
  written_ += write_some(std::string_view(waiting_).substr(written_));
  flush();
}

// How many bytes the other side took; none when it is full or gone.
size_t Input::write_some(std::string_view bytes) {
  if (bytes.empty()) return 0;
  ssize_t count = write(fd_.get(), bytes.data(), bytes.size());
  if (count < 0 && errno != EAGAIN && errno != EINTR) {
    error_ = errno;
    close();
  }
  if (count <= 0) return 0;
  take(static_cast<size_t>(count));
  return static_cast<size_t>(count);
}

// Waits for room, or ends the input once all is written.
void Input::flush() {
  if (!fd_) return;
  if (written_ == waiting_.size()) {
    std::string().swap(waiting_);
    written_ = 0;
    if (watching_) loop_.unwatch(fd_.get(), *this);
    watching_ = false;
    if (!ended_) return;
    tell_end();
    return close();
  }
  if (watching_) return;
  watching_ = loop_.watch(fd_.get(), EPOLLOUT, *this).ok();
  if (!watching_) close();
}

void Input::take(size_t count) {
  if (count > 0) owner_.input_taken(count);
}

}  // namespace plybox

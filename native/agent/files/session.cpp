#include "agent/files/session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/clock.h"
#include "agent/files/scrap.h"

namespace plybox {
namespace {

// What the host may have under way to a worker that takes it in: enough that neither waits for the other.
constexpr uint32_t kWindow = 1 << 20;
constexpr uint32_t kGrantBytes = kWindow / 4;
// What goes into a file at a time, and the least that is worth passing on as pages.
constexpr size_t kPieceBytes = 262144;
constexpr size_t kLeastPassed = 65536;
// How long a finished worker lets the host hang up first.
constexpr uint64_t kLingerUs = 2000000;

Outcome<> write_bytes(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = write(file, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("write");
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return {};
}

}  // namespace

Session::Session(UniqueFd socket, uint32_t channel, std::string outgoing, std::string incoming)
    : socket_(std::move(socket)), channel_(channel), incoming_(std::move(incoming)) {
  // As much as the machine allows: fewer switches between the two processes.
  int bytes = 1 << 20;
  setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
  if (!outgoing.empty()) transmit(outgoing, {});
}

void Session::leave() {
  remove_scrap();
  _exit(0);
}

void Session::protocol_error(const char* message) {
  remove_scrap();
  send_frame(Kind::kError, 0, to_json({"protocol", message}));
  linger();
  leave();
}

void Session::transmit(std::string_view head, std::string_view body, int flags) {
  iovec pieces[2] = {{const_cast<char*>(head.data()), head.size()}, {const_cast<char*>(body.data()), body.size()}};
  msghdr message{};
  message.msg_iov = pieces;
  message.msg_iovlen = 2;
  while (pieces[0].iov_len + pieces[1].iov_len > 0) {
    ssize_t count = sendmsg(socket_.get(), &message, MSG_NOSIGNAL | flags);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) leave();
    auto sent = static_cast<size_t>(count);
    for (iovec& piece : pieces) {
      size_t part = std::min(sent, piece.iov_len);
      piece.iov_base = static_cast<char*>(piece.iov_base) + part;
      piece.iov_len -= part;
      sent -= part;
    }
  }
}

void Session::send_frame(Kind kind, uint32_t channel, std::string_view payload) {
  std::string frame;
  append_frame(frame, kind, channel, payload);
  transmit(frame, {});
}

void Session::ack(std::string_view json) {
  acked_ = true;
  send_frame(Kind::kAck, channel_, json);
}

void Session::finish(std::string_view json) { send_frame(acked_ ? Kind::kExit : Kind::kAck, channel_, json); }

void Session::refuse(const Refusal& refusal) { send_frame(Kind::kError, channel_, to_json(refusal)); }

void Session::linger() {
  shutdown(socket_.get(), SHUT_WR);
  uint64_t until = now_us() + kLingerUs;
  pollfd one{socket_.get(), POLLIN, 0};
  char discarded[16384];
  for (uint64_t now = now_us(); now < until; now = now_us()) {
    if (poll(&one, 1, static_cast<int>((until - now) / 1000) + 1) <= 0) continue;
    if (recv(socket_.get(), discarded, sizeof(discarded), MSG_DONTWAIT) <= 0) return;
  }
}

size_t Session::allowance() {
  breathe();
  while (credit_ == 0) take_control(take_frame());
  return credit_;
}

void Session::send(std::string_view bytes) {
  while (!bytes.empty()) {
    size_t count = std::min({bytes.size(), allowance(), kMaxDataBytes});
    std::string header;
    append_data_header(header, channel_, 1, sent_, count);
    transmit(header, bytes.substr(0, count));
    sent_ += count;
    credit_ -= static_cast<uint32_t>(count);
    bytes.remove_prefix(count);
  }
}

void Session::send_from(Conduit& conduit, size_t count) {
  std::string header;
  append_data_header(header, channel_, 1, sent_, count);
  transmit(header, {}, MSG_MORE);
  sent_ += count;
  credit_ -= static_cast<uint32_t>(count);
  while (count > 0) {
    ssize_t passed = conduit.empty(socket_.get(), count);
    if (passed <= 0) leave();
    count -= static_cast<size_t>(passed);
  }
}

void Session::end() {
  std::string frame;
  append_end(frame, channel_, 1, sent_);
  transmit(frame, {});
}

bool Session::readable() const {
  if (incoming_taken_ < incoming_.size()) return true;
  pollfd one{socket_.get(), POLLIN, 0};
  return poll(&one, 1, 0) == 1;
}

void Session::breathe() {
  while (readable()) take_control(take_frame());
}

void Session::read_exactly(char* to, size_t count) {
  size_t early = std::min(count, incoming_.size() - incoming_taken_);
  incoming_.copy(to, early, incoming_taken_);
  incoming_taken_ += early;
  for (size_t got = early; got < count;) {
    ssize_t more = recv(socket_.get(), to + got, count - got, MSG_WAITALL);
    if (more < 0 && errno == EINTR) continue;
    if (more <= 0) leave();
    got += static_cast<size_t>(more);
  }
}

FrameHeader Session::take_header() {
  char bytes[kFrameHeader];
  read_exactly(bytes, sizeof(bytes));
  if (const char* problem = header_problem({bytes, sizeof(bytes)})) protocol_error(problem);
  return read_header(bytes);
}

std::string_view Session::take_bytes(size_t count) {
  if (payload_.size() < count) payload_.resize(count);
  read_exactly(payload_.data(), count);
  return {payload_.data(), count};
}

Frame Session::take_rest(const FrameHeader& header) {
  Frame frame{header.kind, header.channel, take_bytes(header.length - kMinLength)};
  check(frame);
  return frame;
}

Frame Session::take_frame() { return take_rest(take_header()); }

void Session::check(const Frame& frame) {
  if (const char* problem = payload_problem(frame)) protocol_error(problem);
  if (frame.kind == Kind::kOpen) protocol_error("a connection of a file request has no other channel");
  if (frame.channel != channel_) protocol_error("a frame is for a channel that was never opened");
}

void Session::take_control(const Frame& frame) {
  switch (frame.kind) {
    case Kind::kCredit: {
      uint32_t more = *parse_credit(frame.payload);
      if (more > kMaxCredit - credit_) protocol_error("credit adds up to more than 2147483647");
      credit_ += more;
      return;
    }
    case Kind::kClose:
      leave();
    case Kind::kData:
    case Kind::kEnd:
      protocol_error("this operation takes no data");
    default:
      protocol_error("a host does not send frames of this kind");
  }
}

void Session::grant() {
  if (window_ > kWindow - kGrantBytes) return;
  std::string frame;
  append_credit(frame, channel_, kWindow - window_);
  transmit(frame, {});
  window_ = kWindow;
}

void Session::take_place(const Data& data, size_t count) {
  if (data.stream != 0) protocol_error("a host sends on stream 0 alone");
  if (count > window_) protocol_error("more data than credit");
  if (data.offset != received_) {
    refuse({"bad-offset", "the data has a gap: it stands at " + std::to_string(received_)});
    remove_scrap();
    linger();
    leave();
  }
  window_ -= static_cast<uint32_t>(count);
  received_ += count;
}

std::optional<size_t> Session::take_data_head() {
  while (!ended_) {
    // Granted as soon as the last bytes have been dealt with, which is now.
    grant();
    FrameHeader header = take_header();
    if (header.kind == Kind::kData && header.length >= kMinLength + kDataHeader) {
      // The head is checked as a frame without bytes; they stay where they are.
      Frame frame{header.kind, header.channel, take_bytes(kDataHeader)};
      check(frame);
      size_t count = header.length - kMinLength - kDataHeader;
      take_place(*parse_data(frame.payload), count);
      return count;
    }
    Frame frame = take_rest(header);
    if (frame.kind != Kind::kEnd) {
      take_control(frame);
      continue;
    }
    take_place(*parse_end(frame.payload), 0);
    ended_ = true;
  }
  return std::nullopt;
}

std::optional<std::string_view> Session::receive() {
  std::optional<size_t> count = take_data_head();
  if (!count) return std::nullopt;
  return take_bytes(*count);
}

Outcome<uint64_t> Session::receive_all(int file) {
  pages_.open(kPieceBytes);
  while (std::optional<size_t> count = take_data_head()) {
    for (size_t left = *count; left > 0;) {
      size_t part = std::min(left, kPieceBytes);
      bool is_waiting = incoming_taken_ == incoming_.size();
      Outcome<> written;
      if (is_waiting && part >= kLeastPassed && pages_) {
        ssize_t passed = pages_.fill(socket_.get(), part);
        if (passed <= 0) leave();
        part = static_cast<size_t>(passed);
        written = write_pages(file, part);
      } else {
        written = write_bytes(file, take_bytes(part));
      }
      if (!written) return written.refusal();
      left -= part;
    }
  }
  return received_;
}

Outcome<> Session::write_pages(int file, size_t count) {
  while (count > 0) {
    ssize_t written = pages_.empty(file, count);
    // A file that is open for appending takes no pages, and so none of the next ones.
    if (written < 0 && errno == EINVAL) return write_as_bytes(file, count);
    if (written < 0) return failed("write");
    count -= static_cast<size_t>(written);
  }
  return {};
}

Outcome<> Session::write_as_bytes(int file, size_t count) {
  if (payload_.size() < count) payload_.resize(count);
  for (size_t got = 0; got < count;) {
    ssize_t more = pages_.read(payload_.data() + got, count - got);
    if (more <= 0) return failed("read");
    got += static_cast<size_t>(more);
  }
  pages_.close();
  return write_bytes(file, {payload_.data(), count});
}

}  // namespace plybox

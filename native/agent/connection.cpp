#include "agent/connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace plybox {
namespace {

// Docs/protocol.md §3: a turn of one channel.
constexpr size_t kTurnBytes = 65536;
// A batch ends once it holds so much; what is left comes after the others' turn.
constexpr size_t kBatchBytes = 262144;
// While so much waits for a host that does not read, its requests are not read either.
constexpr size_t kMostWaiting = 262144;
constexpr size_t kMostChannels = 4096;

char received[65536];

}  // namespace

Connection::~Connection() {
  loop_.unwatch(socket_.get(), *this);
  channels_.clear();
}

void Connection::ready(uint32_t events) {
  if (dead_) return;
  if ((events & EPOLLOUT) != 0) {
    writable_ = true;
    dirty_ = true;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive();
}

void Connection::receive() {
  ssize_t count = recv(socket_.get(), received, sizeof(received), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    dead_ = true;
    return;
  }
  decoder_.feed({received, static_cast<size_t>(count)});
  Frame frame;
  while (!dead_) {
    switch (decoder_.next(frame)) {
      case FrameDecoder::Step::kNeedMore:
        return;
      case FrameDecoder::Step::kBad:
        return protocol_error(decoder_.problem());
      case FrameDecoder::Step::kFrame:
        take(frame);
    }
  }
}

void Connection::take(const Frame& frame) {
  if (const char* problem = payload_problem(frame)) return protocol_error(problem);
  if (!greeted_) return take_hello(frame);
  switch (frame.kind) {
    case Kind::kOpen:
      return take_open(frame);
    case Kind::kData:
    case Kind::kEnd:
    case Kind::kCredit:
    case Kind::kClose:
      return take_channel_frame(frame);
    case Kind::kHello:
      return protocol_error("hello is sent once");
    case Kind::kAck:
    case Kind::kExit:
    case Kind::kError:
    case Kind::kLost:
    case Kind::kProgress:
      return protocol_error("a host does not send frames of this kind");
  }
}

void Connection::take_hello(const Frame& frame) {
  if (frame.kind != Kind::kHello || frame.channel != 0) return protocol_error("the first frame is not hello");
  JsonDocument document;
  std::optional<Hello> hello = decode_hello(document, frame.payload);
  if (!hello) return close_with(Refusal::bad_request(document.problem()));
  std::variant<std::string, Refusal> answer = server_.greet(*hello);
  if (const Refusal* refusal = std::get_if<Refusal>(&answer)) return close_with(*refusal);
  greeted_ = true;
  append_frame(outgoing(), Kind::kHello, 0, std::get<std::string>(answer));
}

void Connection::take_open(const Frame& frame) {
  if (frame.channel == 0) return protocol_error("channel 0 cannot be opened");
  if (find(frame.channel) != nullptr) return protocol_error("a channel is opened that is open");
  highest_ = std::max(highest_, frame.channel);
  opened_++;
  if (channels_.size() >= kMostChannels) return refuse(frame.channel, {"no-resources", "too many channels are open"});
  JsonDocument document;
  if (server_.serve(*this, frame.channel, document, frame.payload)) return;
  Refusal refusal = Refusal::bad_request(document.problem());
  if (refusal.field.empty()) return protocol_error(refusal.message);
  refuse(frame.channel, refusal);
}

void Connection::take_channel_frame(const Frame& frame) {
  Channel* channel = find(frame.channel);
  if (channel == nullptr) {
    // It crossed the channel's end on its way. Which numbers below the highest were never opened is not remembered.
    if (frame.channel != 0 && frame.channel <= highest_) return;
    return protocol_error("a frame is for a channel that was never opened");
  }
  switch (frame.kind) {
    case Kind::kData:
      return take_input(*channel, *parse_data(frame.payload), false);
    case Kind::kEnd:
      return take_input(*channel, *parse_end(frame.payload), true);
    case Kind::kCredit:
      if (!channel->add_credit(*parse_credit(frame.payload))) protocol_error("credit adds up to more than 2147483647");
      return;
    default:
      return remove(*channel);  // close
  }
}

void Connection::take_input(Channel& channel, const Data& data, bool end) {
  if (data.stream != 0) return protocol_error("a host sends on stream 0 alone");
  if (!channel.spend_window(data.bytes.size())) return protocol_error("more data than credit");
  if (channel.is_deaf()) return;
  Input* input = channel.input();
  if (input == nullptr) return end_channel(channel, {"bad-request", "stream 0 has come before the ack"});
  switch (end ? input->end(data.offset) : input->accept(data.offset, data.bytes)) {
    case Input::Accepted::kYes:
      return;
    case Input::Accepted::kGap:
      return end_channel(channel, {"bad-offset", "stream 0 has a gap: it is at " + std::to_string(input->offset())});
    case Input::Accepted::kFull:
      return end_channel(channel, {"no-resources", "too much of stream 0 waits to be taken"});
  }
}

void Connection::ack(uint32_t channel, std::string_view json) {
  if (json.size() > kMaxLength - kMinLength) return refuse(channel, {"no-resources", "the answer is too long"});
  append_frame(outgoing(), Kind::kAck, channel, json);
}

void Connection::refuse(uint32_t channel, const Refusal& reason) {
  append_frame(outgoing(), Kind::kError, channel, to_json(reason));
}

void Connection::stream(std::unique_ptr<Channel> channel) {
  channels_.push_back(std::move(channel));
  dirty_ = true;
}

HandOver Connection::hand_over(uint32_t channel) const {
  return {socket_.get(), channel, std::string(batch_.unsent()), std::string(decoder_.rest())};
}

void Connection::protocol_error(std::string message) { close_with({"protocol", std::move(message)}); }

void Connection::close_with(const Refusal& reason) {
  refuse(0, reason);
  batch_.send(socket_.get());
  dead_ = true;
}

void Connection::end_channel(Channel& channel, const Refusal& reason) {
  refuse(channel.number(), reason);
  remove(channel);
}

std::string& Connection::outgoing() {
  dirty_ = true;
  return batch_.text();
}

Channel* Connection::find(uint32_t number) {
  for (const std::unique_ptr<Channel>& channel : channels_) {
    if (channel->number() == number) return channel.get();
  }
  return nullptr;
}

void Connection::remove(const Channel& channel) {
  std::erase_if(channels_, [&](const std::unique_ptr<Channel>& open) { return open.get() == &channel; });
}

void Connection::flush() {
  if (!dirty_ || dead_) return;
  dirty_ = false;
  if (writable_) {
    produce();
    if (!batch_.send(socket_.get())) {
      dead_ = true;
      return;
    }
    writable_ = batch_.empty();
    std::erase_if(channels_, [](const std::unique_ptr<Channel>& channel) { return channel->done(); });
    // Not before the send: the batch pointed into the rings.
    for (const std::unique_ptr<Channel>& channel : channels_) channel->produced();
  }
  update_interest();
}

void Connection::produce() {
  size_t count = channels_.size();
  size_t served = 0;
  while (served < count && batch_.size() < kBatchBytes) {
    channels_[(turn_ + served++) % count]->produce(batch_, kTurnBytes);
  }
  if (count > 0) turn_ = (turn_ + served) % count;
}

bool Connection::has_more() const {
  return std::any_of(channels_.begin(), channels_.end(), [](const auto& channel) { return channel->has_more(); });
}

void Connection::update_interest() {
  uint32_t interest = 0;
  if (batch_.size() < kMostWaiting) interest |= EPOLLIN;
  if (!batch_.empty() || has_more()) interest |= EPOLLOUT;
  if (interest == interest_) return;
  interest_ = interest;
  loop_.change(socket_.get(), interest_, *this);
}

}  // namespace plybox

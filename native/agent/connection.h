// One host connection: frames in, frames out, and the channels that are open on it.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "agent/batch.h"
#include "agent/channel.h"
#include "agent/event-loop.h"
#include "agent/files/worker.h"
#include "agent/requests.h"
#include "common/frame.h"
#include "common/refusal.h"
#include "common/unique-fd.h"

namespace plybox {

class Connection;

// Who answers what arrives on a connection.
class RequestServer {
 public:
  // JSON of the answer, or the refusal after which the connection is closed.
  virtual std::variant<std::string, Refusal> greet(const Hello& hello) = 0;
  // Decodes a request and serves it. Answers false where document.problem() says what is wrong with it.
  virtual bool serve(Connection& connection, uint32_t channel, JsonDocument& document, std::string_view payload) = 0;

 protected:
  ~RequestServer() = default;
};

class Connection final : public Watched, public ChannelOwner {
 public:
  Connection(EventLoop& loop, UniqueFd socket, RequestServer& server)
      : loop_(loop), socket_(std::move(socket)), server_(server) {}
  ~Connection();

  Result<> open() { return loop_.watch(socket_.get(), interest_, *this); }
  // To be destroyed.
  bool dead() const { return dead_; }
  // To be called after each turn: sends what there is, in one system call.
  void flush();

  // Answers to a request.
  void ack(uint32_t channel, std::string_view json);
  void refuse(uint32_t channel, const Refusal& reason);
  // After an ack, or instead of one: streams follow on this channel.
  void stream(std::unique_ptr<Channel> channel);

  // How many requests it has had.
  size_t channels_opened() const { return opened_; }
  // For a process that serves the rest of it, and takes over the channel of the request that is being served.
  HandOver hand_over(uint32_t channel) const;
  // Forgets about it without ending it: another process has it.
  void drop() { dead_ = true; }

  void ready(uint32_t events) override;

 private:
  void receive();
  void take(const Frame& frame);
  void take_hello(const Frame& frame);
  void take_open(const Frame& frame);
  void take_channel_frame(const Frame& frame);
  void take_input(Channel& channel, const Data& data, bool end);
  void protocol_error(std::string message);
  void close_with(const Refusal& reason);

  Channel* find(uint32_t number);
  void remove(const Channel& channel);
  void produce();
  bool has_more() const;
  void update_interest();

  void touch() override { dirty_ = true; }
  void end_channel(Channel& channel, const Refusal& reason) override;
  std::string& outgoing() override;

  EventLoop& loop_;
  UniqueFd socket_;
  RequestServer& server_;
  FrameDecoder decoder_;
  Batch batch_;
  std::vector<std::unique_ptr<Channel>> channels_;
  size_t turn_ = 0;       // which channel goes first
  uint32_t highest_ = 0;  // of the channels opened so far
  size_t opened_ = 0;
  uint32_t interest_ = EPOLLIN;
  bool greeted_ = false;
  bool dirty_ = false;
  bool writable_ = true;
  bool dead_ = false;
};

}  // namespace plybox

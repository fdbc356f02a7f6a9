// What the host sends to a command's standard input or to a socket, in its order, until it is taken there.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/event-loop.h"
#include "common/unique-fd.h"

namespace plybox {

class InputOwner {
 public:
  // So many bytes need no room here any more.
  virtual void input_taken(size_t count) = 0;
  // Nothing more will be written: all of it is, or nobody reads it.
  virtual void input_closed() = 0;

 protected:
  ~InputOwner() = default;
};

class Input final : public Watched {
 public:
  Input(EventLoop& loop, InputOwner& owner) : loop_(loop), owner_(owner) {}
  ~Input() { shut(); }

  // How an end is told: a pipe's by closing, a terminal's by a character, a socket's by shutting its one direction.
  enum class Sink { kPipe, kTerminal, kSocket };
  // `fd` does not block.
  void open(UniqueFd fd, Sink sink);
  bool is_open() const { return static_cast<bool>(fd_); }
  int fd() const { return fd_.get(); }
  // The errno that closed it; 0 where that was in order.
  int error() const { return error_; }

  enum class Accepted { kYes, kGap, kFull };
  // Bytes below offset() are passed over: a host that reconnects may repeat itself.
  Accepted accept(uint64_t at, std::string_view bytes);
  Accepted end(uint64_t at);
  // How many bytes have been accepted.
  uint64_t offset() const { return offset_; }
  // Nobody reads any more.
  void close();

  void ready(uint32_t events) override;

 private:
  void flush();
  void tell_end();
  void shut();
  size_t write_some(std::string_view bytes);
  void take(size_t count);

  EventLoop& loop_;
  InputOwner& owner_;
  UniqueFd fd_;
  Sink sink_ = Sink::kPipe;
  bool ended_ = false;
  bool watching_ = false;
  int error_ = 0;
  uint64_t offset_ = 0;
  std::string waiting_;  // accepted, not yet written; from written_ on
  size_t written_ = 0;
};

}  // namespace plybox

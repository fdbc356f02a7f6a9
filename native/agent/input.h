// A command's standard input: what the host sends, in its order, until the command takes it.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "agent/event-loop.h"
#include "common/unique-fd.h"

namespace plybox {

class Input final : public Watched {
 public:
  // `taken` hears of bytes that need no room here any more.
  Input(EventLoop& loop, std::function<void(size_t)> taken) : loop_(loop), taken_(std::move(taken)) {}
  ~Input() { shut(); }

  // `fd` does not block. A terminal's input ends by a character, not by closing.
  void open(UniqueFd fd, bool terminal);

  enum class Accepted { kYes, kGap, kFull };
  // Bytes below offset() are passed over: a host that reconnects may repeat itself.
  Accepted accept(uint64_t at, std::string_view bytes);
  Accepted end(uint64_t at);
  // How many bytes have been accepted.
  uint64_t offset() const { return offset_; }
  // The command reads no more.
  void close();

  void ready(uint32_t events) override;

 private:
  void flush();
  void shut();
  size_t write_some(std::string_view bytes);
  void take(size_t count);

  EventLoop& loop_;
  std::function<void(size_t)> taken_;
  UniqueFd fd_;
  bool terminal_ = false;
  bool ended_ = false;
  bool watching_ = false;
  uint64_t offset_ = 0;
  std::string waiting_;  // accepted, not yet written; from written_ on
  size_t written_ = 0;
};

}  // namespace plybox

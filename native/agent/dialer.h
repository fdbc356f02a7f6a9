// Connects to the first of several addresses that answers, without blocking.
#pragma once
#include <optional>
#include <vector>

#include "agent/event-loop.h"
#include "agent/socket-address.h"
#include "common/refusal.h"
#include "common/unique-fd.h"

namespace plybox {

class DialerOwner {
 public:
  // One of the two is called, once.
  virtual void connected(UniqueFd socket) = 0;
  virtual void not_connected(const Refusal& reason) = 0;

 protected:
  ~DialerOwner() = default;
};

class Dialer final : public Watched {
 public:
  Dialer(EventLoop& loop, DialerOwner& owner, std::vector<SocketAddress> addresses);
  ~Dialer() { drop(); }

  // The owner may hear of it before this returns.
  void start();

  void ready(uint32_t events) override;

 private:
  void attempt();
  void take_result(int error);
  void give_up(int error);
  void drop();

  EventLoop& loop_;
  DialerOwner& owner_;
  std::vector<SocketAddress> addresses_;
  size_t next_ = 0;
  UniqueFd socket_;
  bool watching_ = false;
  int first_error_ = 0;
  Timer deadline_;
  Timer retry_;
};

}  // namespace plybox

#pragma once
#include <memory>
#include <vector>

#include "agent/connection.h"
#include "agent/single/execution.h"

namespace plybox::single {

// Serves connections: one execution at a time, one a connection.
class Server final : public RequestServer {
 public:
  // `listener` is null where `connection` is the only one that there will be. `exempt` are
  // children of the agent that no execution started.
  Server(const Options& options, UniqueFd listener, UniqueFd connection, UniqueFd signals, std::vector<pid_t> exempt);

  Result<> run();

 private:
  class Ears final : public Watched {
   public:
    Ears(Server& server, void (Server::*heard)()) : server_(server), heard_(heard) {}
    void ready(uint32_t) override { (server_.*heard_)(); }

   private:
    Server& server_;
    void (Server::*heard_)();
  };
  void accept_connection();
  void listen_again();
  void add(UniqueFd socket);
  void take_signal();
  void stop();
  void after_turn();
  void tidy();

  std::variant<std::string, Refusal> greet(const Hello& hello) override;
  bool serve(Connection& connection, uint32_t channel, JsonDocument& document, std::string_view payload) override;

  const Options& options_;
  EventLoop loop_;
  UniqueFd listen_;
  UniqueFd first_;
  UniqueFd signals_;
  UniqueFd memory_directory_;
  MemoryEvents memory_;
  std::vector<pid_t> exempt_;
  std::optional<Place> place_;
  std::unique_ptr<Execution> execution_;
  bool over_ = false;
  bool served_ = false;
  bool stopping_ = false;
  Timer tidy_timer_;
  // Runs while the listening socket is not watched.
  Timer deaf_timer_;
  Ears listen_ears_;
  Ears signal_ears_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace plybox::single

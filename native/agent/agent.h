// Puts the parts together: accepts connections, serves requests, reaps processes, stops.
#pragma once
#include <memory>
#include <vector>

#include "agent/cgroups.h"
#include "agent/command-filter.h"
#include "agent/connection.h"
#include "agent/event-loop.h"
#include "agent/exec-table.h"
#include "agent/files/worker.h"
#include "agent/limit-events.h"
#include "agent/options.h"
#include "agent/root-space.h"
#include "agent/users.h"

namespace plybox {

// What the agent has been given: all its descriptors, owned, and what was in those that are read once.
struct Descriptors {
  UniqueFd listen;
  UniqueFd signals;  // a signalfd; every signal is blocked
  UniqueFd null_device;
  UniqueFd track;
  UniqueFd memory;
  RootQuota quota;
  std::vector<sock_filter> filter;  // of commands; empty: none
};

class Agent final : public RequestServer {
 public:
  Agent(const Options& options, Descriptors descriptors, char* const* environment);

  // Serves until it is told to stop.
  Result<> run();

 private:
  class Listener final : public Watched {
   public:
    explicit Listener(Agent& agent) : agent_(agent) {}
    void ready(uint32_t) override { agent_.accept_connection(); }

   private:
    Agent& agent_;
  };
  class Signals final : public Watched {
   public:
    explicit Signals(Agent& agent) : agent_(agent) {}
    void ready(uint32_t) override { agent_.take_signal(); }

   private:
    Agent& agent_;
  };

  void accept_connection();
  void resume_accepting();
  void take_signal();
  bool reap();
  void after_turn();
  void tidy();
  void begin_stop();
  void stop_step();
  void signal_everything(int signal) const;

  std::variant<std::string, Refusal> greet(const Hello& hello) override;
  bool serve(Connection& connection, uint32_t channel, JsonDocument& document, std::string_view payload) override;

  void answer(Connection& connection, uint32_t channel, const ExecRequest& request);
  void answer(Connection& connection, uint32_t channel, const AttachRequest& request);
  void answer(Connection& connection, uint32_t channel, const ReadRequest& request);
  void answer(Connection& connection, uint32_t channel, const WaitRequest& request);
  void answer(Connection& connection, uint32_t channel, const InputRequest& request);
  void answer(Connection& connection, uint32_t channel, const ListRequest& request);
  void answer(Connection& connection, uint32_t channel, const SignalRequest& request);
  void answer(Connection& connection, uint32_t channel, const ResizeRequest& request);
  void answer(Connection& connection, uint32_t channel, const ForgetRequest& request);
  void answer(Connection& connection, uint32_t channel, const DialRequest& request);
  void answer(Connection& connection, uint32_t channel, const PortsRequest& request);
  void answer(Connection& connection, uint32_t channel, const UsageRequest& request);
  void answer(Connection& connection, uint32_t channel, const ProcessesRequest& request);
  void answer(Connection& connection, uint32_t channel, const FileRequest& request);
  void answer(Connection& connection, uint32_t channel, const StopRequest& request);
  Exec* find_or_refuse(Connection& connection, uint32_t channel, std::string_view exec);

  Options options_;
  Descriptors descriptors_;
  char* const* environment_;
  uint64_t started_us_;
  EventLoop loop_;
  PidsEvents pids_;
  CommandCgroups cgroups_;
  MemoryEvents memory_;
  CommandCgroups memory_cgroups_;
  Users users_;
  RootSpace root_space_;
  sock_fprog program_;  // the filter of commands
  ExecContext context_;
  FileWorkers file_workers_;
  bool changed_ = false;
  Timer tidy_timer_;
  Timer accept_timer_;
  Timer stop_timer_;
  uint64_t stop_began_us_ = 0;  // 0: not stopping
  Listener listener_;
  Signals signals_;
  // Connections go before the commands that their channels listen to.
  ExecTable execs_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace plybox

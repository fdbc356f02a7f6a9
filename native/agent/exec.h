// One command: its processes, its streams, its limits, and at last its report.
#pragma once
#include <linux/filter.h>
#include <sys/resource.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/cgroups.h"
#include "agent/child.h"
#include "agent/cpu-meter.h"
#include "agent/ending.h"
#include "agent/environment.h"
#include "agent/event-loop.h"
#include "agent/input.h"
#include "agent/limit-events.h"
#include "agent/output.h"
#include "agent/requests.h"
#include "agent/root-space.h"
#include "agent/users.h"
#include "common/json.h"
#include "common/refusal.h"

namespace plybox {

// Who reads a command's output. The command does not wait for it: what it has not sent may be written over.
class ExecReader {
 public:
  // There may be something to send.
  virtual void touch() = 0;
  // exec.finished() holds from now on.
  virtual void finished() = 0;
  // Reads no more, against its will; is destroyed before this returns.
  virtual void dismiss(const Refusal& reason) = 0;

 protected:
  ~ExecReader() = default;
};

// The host's side of a command, as the command sees it: the reader that it does wait for. It has at most one.
class ExecListener : public ExecReader {
 public:
  virtual uint64_t sent(uint8_t stream) const = 0;
  // Bytes of stdin need no room any more.
  virtual void input_taken(size_t count) = 0;

 protected:
  ~ExecListener() = default;
};

// Who feeds a command's stdin in place of its listener. A command has at most one.
class ExecFeeder {
 public:
  // Bytes of stdin need no room any more.
  virtual void input_taken(size_t count) = 0;
  // Feeds no more, against its will; is destroyed before this returns.
  virtual void dismiss(const Refusal& reason) = 0;

 protected:
  ~ExecFeeder() = default;
};

// Is told once of a command's end, and then no more.
class ExecWaiter {
 public:
  virtual void finished(const std::string& report) = 0;

 protected:
  ~ExecWaiter() = default;
};

// How soon the kernel takes whom where memory is short: oom_score_adj.
struct OomScores {
  UniqueFd file;  // the agent's own; none where it cannot be told
  std::string of_agent;
  std::string of_commands;
};

// What commands share.
struct ExecContext {
  EventLoop& loop;
  CommandCgroups& cgroups;
  // Of commands with a memory limit. On version 2 these are the same.
  CommandCgroups& memory_cgroups;
  const MemoryEvents& memory;
  const PidsEvents& pids;
  int null_device;
  const sock_fprog* filter;  // null: none
  // Of every command.
  std::vector<ResourceLimit> limits;
  OomScores oom;
  bool limits_file_size;
  const RootSpace& root_space;
  // Called when a command has finished, or when nothing of it is left.
  std::function<void()> changed;
};

// Limits that something ran into, as the kernel has it; what it has counted, and whether the writable layer is full.
struct LimitsMet {
  uint64_t memory_kills = 0;
  uint64_t refused_forks = 0;
  const char* upper_full = nullptr;  // "bytes" or "inodes"
};

// What was known of refused forks at the last look, on version 2.
struct ForkStorm {
  uint64_t all = 0;  // in the whole sandbox
  uint64_t own = 0;
  bool held = false;  // to the processes that it had
};

class Exec final : public InputOwner, public OutputOwner {
 public:
  Exec(ExecContext& context, const ExecRequest& request);
  ~Exec();

  // Starts the command; nothing has been started when it answers a refusal.
  std::optional<Refusal> start(const ExecRequest& request, const Account& account, char* const* sandbox_environment);

  const std::string& id() const { return id_; }
  pid_t pid() const { return pid_; }
  bool running() const { return running_; }
  // The main process has ended, what it wrote has been read, and a limit that ended it has been seen through.
  bool finished() const { return finished_; }
  // When the main process ended; 0 while it runs.
  uint64_t ended_us() const { return ended_us_; }
  uint64_t started_us() const { return started_us_; }
  // JSON of the `exit` frame; only where finished().
  const std::string& report() const { return report_; }
  // Stream 1 or 2.
  const Output& output(uint8_t stream) const { return outputs_[stream - 1]; }
  Input& input() { return input_; }

  // Takes the place of the one that listened before.
  void listen(ExecListener& listener);
  void stop_listening(ExecListener& listener);
  bool has_listener() const { return listener_ != nullptr; }
  // Any number may read beside the listener.
  void start_reading(ExecReader& reader) { readers_.push_back(&reader); }
  void stop_reading(ExecReader& reader) { std::erase(readers_, &reader); }
  // Takes stdin over from the listener, and from the one that fed it before.
  void feed_from(ExecFeeder& feeder);
  void stop_feeding(ExecFeeder& feeder);
  bool has_feeder() const { return feeder_ != nullptr; }
  // Whether it was started with an stdin that can be fed.
  bool takes_input() const { return takes_input_; }
  // Any number may wait. Tells at once where the command has finished.
  void await(ExecWaiter& waiter);
  void stop_awaiting(ExecWaiter& waiter);
  // Something has been sent, so that reading may go on.
  void resume_reading();

  void main_ended(int status, const rusage& usage);
  void signal(int signal, SignalScope scope);
  Result<> resize(TerminalSize size);
  bool on_terminal() const { return on_terminal_; }

  // The host will not ask for it again. It lives on until nothing of the command is left.
  void forget();
  bool forgotten() const { return forgotten_; }
  // Returns its cgroups once they are empty.
  void release_cgroups();
  // Forgotten, and nothing of it is left.
  bool removable() const;

 private:
  struct Stdio;
  std::optional<Refusal> open_stdio(const ExecRequest& request, const Account& account, Stdio& stdio);
  std::optional<Refusal> open_terminal_stdio(const ExecRequest& request, const Account& account, Stdio& stdio);
  std::optional<Refusal> open_pipes(const ExecRequest& request, const Account& account, Stdio& stdio);
  std::optional<Refusal> take_stdio(Stdio& stdio);
  std::optional<Refusal> limit_pids(uint64_t most);
  std::optional<Refusal> limit_memory(uint64_t most_bytes);
  LimitsMet count_limits() const;
  uint64_t memory_kills() const;
  uint64_t refused_forks() const;
  void find_limits_met();
  const char* limit_of_failure() const;
  void write_limits_met(JsonWriter& json) const;
  void stop_clocks();
  void end_by(const char* limit, Ending::Pace pace = Ending::Pace::kGentle);
  void watch_for_fork_storm();
  void look_for_fork_storm();
  void tell_who_storms(uint64_t own);
  void touch_readers();
  void finish_if_over();
  std::string make_report() const;

  void input_taken(size_t count) override;
  void input_closed() override {}
  uint64_t unsent_from(uint8_t stream) const override;
  uint64_t output_allowance() const override;
  void output_grew() override;
  void output_ended() override;
  void output_limit_hit() override;

  ExecContext& context_;
  std::string id_;
  ExecListener* listener_ = nullptr;
  std::vector<ExecReader*> readers_;
  ExecFeeder* feeder_ = nullptr;
  std::vector<ExecWaiter*> waiters_;
  std::optional<uint64_t> output_bytes_;

  std::unique_ptr<CommandCgroup> cgroup_;
  std::unique_ptr<CommandCgroup> memory_cgroup_;  // version 1: null without a limit
  std::optional<ProcessSet> processes_;
  Input input_;
  Output outputs_[2];
  Timer wall_timer_;
  Timer end_timer_;
  Timer storm_timer_;
  std::unique_ptr<CpuMeter> cpu_meter_;  // null without a limit
  std::unique_ptr<Ending> ending_;

  pid_t pid_ = 0;
  bool running_ = false;
  bool finished_ = false;
  bool forgotten_ = false;
  bool on_terminal_ = false;
  bool takes_input_ = false;
  bool limits_memory_ = false;
  bool limits_pids_ = false;
  ForkStorm storm_;
  const char* limit_ = nullptr;
  LimitsMet at_start_;
  LimitsMet met_;
  uint64_t started_us_ = 0;
  uint64_t ended_us_ = 0;
  int status_ = 0;
  rusage usage_{};
  std::string report_;
};

}  // namespace plybox

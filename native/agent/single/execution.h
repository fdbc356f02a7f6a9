// One execution: what it compiles, what it runs, its limits, and at last its verdict.
#pragma once
#include <sys/resource.h>

#include <memory>
#include <optional>
#include <string>

#include "agent/event-loop.h"
#include "agent/input.h"
#include "agent/limit-events.h"
#include "agent/output.h"
#include "agent/single/options.h"
#include "agent/single/request.h"
#include "agent/single/spare-child.h"
#include "agent/single/usage.h"
#include "agent/single/work-directory.h"
#include "common/refusal.h"

namespace plybox::single {

class ExecutionListener {
 public:
  virtual void touch() = 0;
  virtual void input_taken(size_t count) = 0;
  virtual void progress(const std::string& json) = 0;

 protected:
  ~ExecutionListener() = default;
};

// What waits for a request: a child in a work directory of its own. The child goes before the directory.
struct Place {
  WorkDirectory directory;
  SpareChild child;
};
Result<Place> make_place(const Options& options);

class Execution final : public OutputOwner, public InputOwner {
 public:
  // `over` is called when nothing is left of it and nobody listens; it is then to be destroyed, but not before the call
  // returns.
  Execution(EventLoop& loop, const Options& options, const MemoryEvents& memory, ExecuteRequest request, Place place,
            const std::vector<pid_t>& exempt, std::function<void()> over);

  std::optional<Refusal> start();
  // The host has gone: everything is ended.
  void abandon();
  void listen(ExecutionListener* listener) { listener_ = listener; }

  // A child of the agent has ended.
  void child_ended(pid_t pid, int status, const rusage& usage);

  const Output& output(uint8_t stream) const { return *outputs_[stream - 1]; }
  Input& input() { return input_; }
  // The verdict stands and nothing is left of the processes.
  bool finished() const { return finished_; }
  // JSON of `exit`; or the refusal that stands in its place.
  const std::string& report() const { return report_; }
  const std::optional<Refusal>& refusal() const { return refusal_; }

 private:
  struct Stdio;
  std::optional<Refusal> launch(const std::vector<std::string>& argv, uint64_t wall_ms, const Stdio& stdio);
  std::optional<Refusal> start_compiler();
  std::optional<Refusal> start_program();
  void tick();
  void tell_usage();
  void check_limits();
  void end_by(const char* limit);
  void sweep();
  void phase_over();
  void finish();
  void fail(Refusal refusal);
  const char* verdict();
  std::string make_report();
  bool out_of_memory() const;
  std::string compile_text() const;

  uint64_t unsent_from(uint8_t stream) const override;
  uint64_t output_allowance() const override;
  void output_grew() override;
  void output_ended() override;
  void output_limit_hit() override;
  void input_taken(size_t count) override;
  void input_closed() override {}

  EventLoop& loop_;
  const Options& options_;
  const MemoryEvents& memory_;
  ExecuteRequest request_;
  WorkDirectory directory_;
  std::optional<SpareChild> child_;
  std::function<void()> over_;
  ExecutionListener* listener_ = nullptr;

  Input input_;
  Output compile_output_;
  std::unique_ptr<Output> outputs_[2];
  UniqueFd program_stdio_[3];

  Usage usage_;
  Timer tick_timer_;
  Timer wall_timer_;
  Timer sweep_timer_;
  bool compiling_ = false;
  bool leader_running_ = false;
  bool phase_over_ = true;
  bool finished_ = false;
  int status_ = 0;
  const char* limit_ = nullptr;
  const char* memory_evidence_ = nullptr;
  uint64_t oom_kills_before_ = 0;
  uint64_t started_us_ = 0;
  uint64_t ended_us_ = 0;
  uint64_t compile_us_ = 0;
  uint64_t told_us_ = 0;
  std::string report_;
  std::optional<Refusal> refusal_;
};

}  // namespace plybox::single

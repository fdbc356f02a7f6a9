#include "agent/exec.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "agent/clock.h"
#include "common/signals.h"

namespace plybox {
namespace {

constexpr uint64_t kEndDelayMs = 1;
// Who was refused so many forks and goes on is a fork bomb: no program tries again so often, and every try holds locks
// that all forks of the machine want.
constexpr uint64_t kForkStorm = 10000;
constexpr uint64_t kStormLookMs = 500;
// Refused between two looks: more than by who tries again now and then.
constexpr uint64_t kStormPace = 100;

uint64_t microseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1000000 + static_cast<uint64_t>(time.tv_usec);
}

}  // namespace

Exec::Exec(ExecContext& context, const ExecRequest& request)
    : context_(context),
      id_(request.exec),
      output_bytes_(request.output_bytes),
      input_(context.loop, *this),
      outputs_{{context.loop, *this, 1, request.ring_bytes}, {context.loop, *this, 2, request.ring_bytes}},
      wall_timer_(context.loop, [this] { end_by("wall"); }),
      end_timer_(context.loop, [this] { touch_readers(); }),
      storm_timer_(context.loop, [this] { look_for_fork_storm(); }) {}

Exec::~Exec() {
  ending_.reset();
  if (cgroup_ != nullptr) context_.cgroups.give_back(std::move(cgroup_));
  if (memory_cgroup_ != nullptr) context_.memory_cgroups.give_back(std::move(memory_cgroup_));
}

void Exec::listen(ExecListener& listener) {
  // The new one is there before the old one goes: with nobody listening the rings would be written over.
  ExecListener* previous = std::exchange(listener_, &listener);
  if (previous != nullptr) previous->dismiss({"replaced", "another attachment has taken this one's place"});
  if (finished_) listener_->finished();
  resume_reading();
}

void Exec::stop_listening(ExecListener& listener) {
  if (listener_ != &listener) return;
  listener_ = nullptr;
  // Nobody holds back the rings now.
  resume_reading();
}

void Exec::await(ExecWaiter& waiter) {
  if (finished_) return waiter.finished(report_);
  waiters_.push_back(&waiter);
}

void Exec::stop_awaiting(ExecWaiter& waiter) { std::erase(waiters_, &waiter); }

void Exec::feed_from(ExecFeeder& feeder) {
  ExecFeeder* previous = std::exchange(feeder_, &feeder);
  if (previous != nullptr) previous->dismiss({"replaced", "another channel has taken stdin over"});
}

void Exec::stop_feeding(ExecFeeder& feeder) {
  if (feeder_ == &feeder) feeder_ = nullptr;
}

void Exec::resume_reading() {
  for (Output& output : outputs_) output.resume();
}

void Exec::input_taken(size_t count) {
  if (feeder_ != nullptr) return feeder_->input_taken(count);
  if (listener_ != nullptr) listener_->input_taken(count);
}

uint64_t Exec::unsent_from(uint8_t stream) const { return listener_ == nullptr ? UINT64_MAX : listener_->sent(stream); }

uint64_t Exec::output_allowance() const {
  if (!output_bytes_) return UINT64_MAX;
  return *output_bytes_ - outputs_[0].ring().end() - outputs_[1].ring().end();
}

void Exec::touch_readers() {
  if (listener_ != nullptr) listener_->touch();
  for (ExecReader* reader : readers_) reader->touch();
}

void Exec::output_grew() {
  touch_readers();
  finish_if_over();
}

// The kernel closes a process's descriptors a moment before it reports its end. Waiting for that moment sends `end` and
// `exit` together: one send here and one wake-up of the host instead of three.
void Exec::output_ended() {
  if (running_) {
    end_timer_.start(kEndDelayMs);
  } else {
    touch_readers();
  }
  finish_if_over();
  if (forgotten_) context_.changed();
}

void Exec::output_limit_hit() {
  end_by("output");
  for (Output& output : outputs_) output.drop_rest();
}

void Exec::stop_clocks() {
  wall_timer_.stop();
  storm_timer_.stop();
  if (cpu_meter_ != nullptr) cpu_meter_->stop();
}

void Exec::end_by(const char* limit, Ending::Pace pace) {
  if (limit_ != nullptr || finished_) return;
  limit_ = limit;
  stop_clocks();
  ending_ = std::make_unique<Ending>(context_.loop, *processes_, pace, [this] { finish_if_over(); });
}

void Exec::watch_for_fork_storm() { storm_timer_.start(kStormLookMs); }

// In its own cgroup: what the whole sandbox was refused, as version 2 has it, may be another command's.
void Exec::look_for_fork_storm() {
  if (cgroup_ == nullptr) return;
  uint64_t own = context_.cgroups.refused_forks(*cgroup_);
  if (own >= kForkStorm) return end_by("pids", Ending::Pace::kAtOnce);
  if (cgroup_->version() == 2 && !limits_pids_) tell_who_storms(own);
  watch_for_fork_storm();
}

// While forks are refused fast in the sandbox, this command may have no more processes than it has: what it is refused
// from then on is counted in its own cgroup. Who is not at fault loses nothing, for it could not fork anyway, and is
// released at the next look.
void Exec::tell_who_storms(uint64_t own) {
  uint64_t all = context_.pids.refused_forks();
  uint64_t risen = storm_.held ? own - std::min(own, storm_.own) : all - std::min(all, storm_.all);
  storm_.all = all;
  storm_.own = own;
  bool hold = risen >= kStormPace;
  if (hold == storm_.held) return;
  bool done = hold ? context_.cgroups.hold_pids(*cgroup_) : context_.cgroups.release_pids(*cgroup_);
  if (done) storm_.held = hold;
}

void Exec::main_ended(int status, const rusage& usage) {
  running_ = false;
  ended_us_ = now_us();
  status_ = status;
  usage_ = usage;
  stop_clocks();
  end_timer_.stop();
  processes_->leader_reaped();
  for (Output& output : outputs_) output.main_ended();
  touch_readers();
  finish_if_over();
}

// In cgroups of its own what the kernel killed is the command's, and no other's.
uint64_t Exec::memory_kills() const {
  if (memory_cgroup_ != nullptr) return context_.memory_cgroups.memory_kills(*memory_cgroup_);
  uint64_t elsewhere = limits_memory_ ? 0 : context_.memory.kills();
  // On version 2 every command has its own count from the moment on in which one has a limit.
  bool own = cgroup_ != nullptr && cgroup_->version() == 2 && context_.cgroups.counts_memory();
  return elsewhere + (own ? context_.cgroups.memory_kills(*cgroup_) : 0);
}

uint64_t Exec::refused_forks() const {
  return context_.pids.refused_forks() + (cgroup_ != nullptr ? context_.cgroups.refused_forks(*cgroup_) : 0);
}

LimitsMet Exec::count_limits() const { return {memory_kills(), refused_forks(), context_.root_space.full()}; }

void Exec::find_limits_met() {
  LimitsMet now = count_limits();
  auto risen = [](uint64_t before, uint64_t after) { return after - std::min(before, after); };
  met_ = {risen(at_start_.memory_kills, now.memory_kills), risen(at_start_.refused_forks, now.refused_forks),
          now.upper_full};
}

// What the command failed at. The counts of the whole sandbox, and a layer that ran full meanwhile, say nothing of a
// command that has not failed; one that was full before says nothing of what this one failed at.
const char* Exec::limit_of_failure() const {
  bool failed = !WIFEXITED(status_) || WEXITSTATUS(status_) != 0;
  if (met_.memory_kills > 0 && (failed || limits_memory_)) return "memory";
  if (!failed) return nullptr;
  if (WIFSIGNALED(status_) && WTERMSIG(status_) == SIGXFSZ && context_.limits_file_size) return "file-size";
  // It ended nobody: a fork was refused, or a write, and the command made of it what it would.
  if (met_.refused_forks > 0) return "pids";
  if (met_.upper_full != nullptr && at_start_.upper_full == nullptr) return "disk";
  return nullptr;
}

void Exec::finish_if_over() {
  if (finished_ || running_ || !outputs_[0].settled() || !outputs_[1].settled()) return;
  if (ending_ != nullptr && !ending_->over()) return;
  finished_ = true;
  find_limits_met();
  if (limit_ == nullptr) limit_ = limit_of_failure();
  report_ = make_report();
  input_.close();
  if (listener_ != nullptr) listener_->finished();
  for (ExecReader* reader : readers_) reader->finished();
  for (ExecWaiter* waiter : std::exchange(waiters_, {})) waiter->finished(report_);
  context_.changed();
}

// ru_maxrss is never below what the agent itself had resident at the start: the process began in the agent's memory.
std::string Exec::make_report() const {
  JsonWriter json;
  json.begin_object().key("exec").string(id_);
  json.key("code");
  WIFEXITED(status_) ? json.integer(static_cast<uint64_t>(WEXITSTATUS(status_))) : json.null();
  json.key("signal");
  WIFSIGNALED(status_) ? json.string(signal_name(WTERMSIG(status_))) : json.null();
  json.key("limit");
  limit_ != nullptr ? json.string(limit_) : json.null();
  write_limits_met(json);
  json.key("wallMs").thousandths(ended_us_ - started_us_);
  json.key("userMs").thousandths(microseconds(usage_.ru_utime));
  json.key("systemMs").thousandths(microseconds(usage_.ru_stime));
  json.key("peakRssBytes").integer(static_cast<uint64_t>(usage_.ru_maxrss) * 1024);
  if (limits_memory_) {
    const CommandCgroup& cgroup = memory_cgroup_ != nullptr ? *memory_cgroup_ : *cgroup_;
    std::optional<uint64_t> peak = context_.memory_cgroups.peak_memory_bytes(cgroup);
    if (peak) json.key("memoryPeakBytes").integer(*peak);
  }
  json.key("stdoutBytes").integer(outputs_[0].ring().end());
  json.key("stderrBytes").integer(outputs_[1].ring().end());
  json.end_object();
  return json.text();
}

void Exec::write_limits_met(JsonWriter& json) const {
  if (met_.memory_kills == 0 && met_.refused_forks == 0 && met_.upper_full == nullptr) return;
  json.key("limitsMet").begin_object();
  if (met_.memory_kills > 0) json.key("memoryKills").integer(met_.memory_kills);
  if (met_.refused_forks > 0) json.key("refusedForks").integer(met_.refused_forks);
  if (met_.upper_full != nullptr) json.key("upperFull").string(met_.upper_full);
  json.end_object();
}

void Exec::signal(int signal, SignalScope scope) {
  switch (scope) {
    case SignalScope::kProcess:
      return processes_->signal_leader(signal);
    case SignalScope::kGroup:
      return processes_->signal_group(signal);
    case SignalScope::kAll:
      return processes_->signal_all(signal);
  }
}

Result<> Exec::resize(TerminalSize size) {
  // Ended: there is nobody to tell.
  if (outputs_[0].ended()) return {};
  return resize_terminal(outputs_[0].fd(), size);
}

void Exec::forget() {
  forgotten_ = true;
  for (Output& output : outputs_) output.forget();
  const Refusal reason{"exec-not-found", "the command has been forgotten"};
  if (listener_ != nullptr) listener_->dismiss(reason);
  for (ExecReader* reader : std::exchange(readers_, {})) reader->dismiss(reason);
  context_.changed();
}

void Exec::release_cgroups() {
  if (!finished_) return;
  if (cgroup_ != nullptr && context_.cgroups.empty(*cgroup_)) {
    processes_->drop_cgroup();
    context_.cgroups.give_back(std::move(cgroup_));
  }
  if (memory_cgroup_ != nullptr && context_.memory_cgroups.empty(*memory_cgroup_)) {
    context_.memory_cgroups.give_back(std::move(memory_cgroup_));
  }
}

bool Exec::removable() const {
  bool has_cgroups = cgroup_ != nullptr || memory_cgroup_ != nullptr;
  return forgotten_ && !has_cgroups && outputs_[0].ended() && outputs_[1].ended();
}

}  // namespace plybox

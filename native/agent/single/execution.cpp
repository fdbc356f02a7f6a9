#include "agent/single/execution.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "agent/clock.h"
#include "agent/path-lookup.h"

namespace plybox::single {
namespace {

constexpr size_t kCompileRing = 65536;
constexpr uint64_t kTellUs = 100000;
constexpr uint64_t kLongestTickMs = 100;
constexpr uint64_t kShortestTickMs = 10;
constexpr uint64_t kSweepMs = 2;
constexpr std::string_view kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Room above the limit for what is reserved and never touched; what is touched ends by the resident set.
uint64_t data_limit(uint64_t memory_bytes) { return memory_bytes * 2 + (64 << 20); }

Refusal no_resources(const char* message, Failure failure) { return Refusal::failed("no-resources", message, failure); }

bool make_pipe(UniqueFd& read_end, UniqueFd& write_end, bool agent_reads) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  read_end.reset(ends[0]);
  write_end.reset(ends[1]);
  return fcntl(agent_reads ? ends[0] : ends[1], F_SETFL, O_NONBLOCK) == 0;
}

// Where it has none nothing descends from it either: what loses its parent becomes its child. One system call, where a
// look at all processes of the machine may take longer than the program did.
bool has_children() {
  siginfo_t unused;
  return waitid(P_ALL, 0, &unused, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

std::vector<std::string> environment_of(const ExecuteRequest& request, const std::string& home) {
  std::vector<std::string> list;
  for (const auto& [name, value] : request.environment) list.push_back(name + "=" + value);
  auto add = [&](std::string_view name, std::string_view value) {
    for (const auto& [given, unused] : request.environment)
      if (given == name) return;
    list.push_back(std::string(name) + "=" + std::string(value));
  };
  add("PATH", kPath);
  add("HOME", home);
  add("LANG", "C.UTF-8");
  return list;
}

std::string_view path_of(const ExecuteRequest& request) {
  for (const auto& [name, value] : request.environment)
    if (name == "PATH") return value;
  return kPath;
}

}  // namespace

struct Execution::Stdio {
  int numbers[3];
};

Result<Place> make_place(const Options& options) {
  Result<WorkDirectory> directory = WorkDirectory::make(options.work, options.user);
  if (!directory) return directory.failure();
  Result<SpareChild> child = SpareChild::start(directory->path(), options.user);
  if (!child) return child.failure();
  return Place{directory.take(), child.take()};
}

Execution::Execution(EventLoop& loop, const Options& options, const MemoryEvents& memory, ExecuteRequest request,
                     Place place, const std::vector<pid_t>& exempt, std::function<void()> over)
    : loop_(loop),
      options_(options),
      memory_(memory),
      request_(std::move(request)),
      directory_(std::move(place.directory)),
      child_(std::move(place.child)),
      over_(std::move(over)),
      input_(loop, *this),
      compile_output_(loop, *this, 0, kCompileRing),
      outputs_{std::make_unique<Output>(loop, *this, 1, request_.ring_bytes),
               std::make_unique<Output>(loop, *this, 2, request_.ring_bytes)},
      usage_(exempt),
      tick_timer_(loop, [this] { tick(); }),
      wall_timer_(loop, [this] { end_by("wall"); }),
      sweep_timer_(loop, [this] { sweep(); }) {}

std::optional<Refusal> Execution::start() {
  if (Result<> written = directory_.write(request_.source_name, request_.source); !written)
    return no_resources("cannot write the source", written.failure());
  UniqueFd input;
  if (!make_pipe(program_stdio_[0], input, false)) return no_resources("cannot open stdin", Failure::here("pipe"));
  input_.open(std::move(input), Input::Sink::kPipe);
  if (!request_.stream_input) {
    if (input_.accept(0, request_.input) != Input::Accepted::kYes)
      return Refusal{"bad-request", "stdin is too long", "stdin"};
    input_.end(request_.input.size());
  }
  for (int i = 0; i < 2; i++) {
    UniqueFd read_end;
    if (!make_pipe(read_end, program_stdio_[i + 1], true))
      return no_resources("cannot open stdout", Failure::here("pipe"));
    if (Result<> opened = outputs_[i]->open(std::move(read_end)); !opened)
      return no_resources("cannot watch the output", opened.failure());
  }
  return request_.compile.empty() ? start_program() : start_compiler();
}

std::optional<Refusal> Execution::start_compiler() {
  compiling_ = true;
  UniqueFd read_end, write_end, null_device(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!make_pipe(read_end, write_end, true) || !null_device)
    return no_resources("cannot open the compiler's output", Failure::here("pipe"));
  if (Result<> opened = compile_output_.open(std::move(read_end)); !opened)
    return no_resources("cannot watch the compiler's output", opened.failure());
  return launch(request_.compile, request_.compile_wall_ms, {{null_device.get(), write_end.get(), write_end.get()}});
}

std::optional<Refusal> Execution::start_program() {
  compiling_ = false;
  Stdio stdio{{program_stdio_[0].get(), program_stdio_[1].get(), program_stdio_[2].get()}};
  std::optional<Refusal> refusal = launch(request_.run, request_.wall_ms, stdio);
  for (UniqueFd& fd : program_stdio_) fd.reset();
  return refusal;
}

// The limits of a compiler are its wall time and the number of its processes: what it may use otherwise is not the
// program's.
std::optional<Refusal> Execution::launch(const std::vector<std::string>& argv, uint64_t wall_ms, const Stdio& stdio) {
  std::vector<std::string> candidates = program_candidates(argv[0], path_of(request_));
  std::vector<std::string> environment = environment_of(request_, directory_.path());
  Program program{argv, candidates, environment, {}, 0, 0, request_.processes};
  std::copy(stdio.numbers, stdio.numbers + 3, program.stdio);
  if (!compiling_) {
    if (request_.cpu_ms) program.cpu_seconds = *request_.cpu_ms / 1000 + 2;
    if (request_.memory_bytes) program.data_bytes = data_limit(*request_.memory_bytes);
  }
  usage_.reset();
  oom_kills_before_ = memory_.kills();
  started_us_ = told_us_ = now_us();
  if (!child_ || !child_->become(program)) return Refusal{"no-resources", "the waiting child has ended"};
  leader_running_ = true;
  phase_over_ = false;
  wall_timer_.start(wall_ms);
  tick_timer_.start(kShortestTickMs);
  return std::nullopt;
}

void Execution::abandon() {
  listener_ = nullptr;
  if (finished_) return over_();
  end_by("client");
}

void Execution::tick() {
  if (phase_over_) return;
  usage_.sample();
  check_limits();
  if (now_us() - told_us_ >= kTellUs) tell_usage();
  uint64_t pause = kLongestTickMs;
  if (!compiling_ && request_.cpu_ms) {
    uint64_t left_ms = *request_.cpu_ms - std::min(*request_.cpu_ms, usage_.cpu_us() / 1000);
    pause = std::min(pause, left_ms / std::max<uint64_t>(1, usage_.processes().size()));
  }
  // Memory can be filled in no time: a short look often costs less than what is used up between two long ones.
  if (!compiling_ && request_.memory_bytes) pause = std::min<uint64_t>(pause, kShortestTickMs * 2);
  tick_timer_.start(std::max(pause, kShortestTickMs));
}

void Execution::tell_usage() {
  told_us_ = now_us();
  if (listener_ == nullptr) return;
  JsonWriter json;
  json.begin_object();
  json.key("phase").string(compiling_ ? "compile" : "run");
  json.key("wallMs").thousandths(now_us() - started_us_);
  json.key("cpuMs").thousandths(usage_.cpu_us());
  json.key("residentBytes").integer(usage_.resident_bytes());
  json.key("processes").integer(usage_.processes().size());
  json.key("stdoutBytes").integer(outputs_[0]->ring().end());
  json.key("stderrBytes").integer(outputs_[1]->ring().end());
  json.end_object();
  listener_->progress(json.text());
}

void Execution::check_limits() {
  if (compiling_) return;
  if (request_.cpu_ms && usage_.cpu_us() > *request_.cpu_ms * 1000) end_by("cpu");
  if (limit_ == nullptr && request_.memory_bytes && usage_.resident_bytes() >= *request_.memory_bytes) {
    memory_evidence_ = "resident";
    end_by("memory");
  }
}

void Execution::end_by(const char* limit) {
  if (phase_over_ || limit_ != nullptr) return;
  limit_ = limit;
  wall_timer_.stop();
  sweep();
}

// Everything that descends from the agent and is not exempt is the execution's. Repeated until a look finds nothing:
// what was forked while the list was read is found by the next.
void Execution::sweep() {
  if (!leader_running_ && !has_children()) return phase_over();
  usage_.sample();
  for (pid_t pid : usage_.processes()) kill(pid, SIGKILL);
  if (leader_running_ || !usage_.processes().empty()) return sweep_timer_.start(kSweepMs);
  phase_over();
}

void Execution::child_ended(pid_t pid, int status, const rusage& usage) {
  usage_.reaped(usage);
  if (!child_ || pid != child_->pid()) return;
  leader_running_ = false;
  status_ = status;
  ended_us_ = now_us();
  wall_timer_.stop();
  tick_timer_.stop();
  sweep();
}

void Execution::phase_over() {
  if (phase_over_) return;
  phase_over_ = true;
  tick_timer_.stop();
  std::optional<Failure> failure = child_->failure();
  if (failure) {
    const std::string& program = (compiling_ ? request_.compile : request_.run)[0];
    bool missing = failure->error == ENOENT || failure->error == ENOTDIR;
    if (std::strcmp(failure->step, "execve") != 0) return fail(no_resources("cannot start the program", *failure));
    return fail(Refusal::failed(missing ? "not-found" : "not-executable",
                                (missing ? "no such program: " : "cannot be executed: ") + program, *failure));
  }
  if (!compiling_) return finish();
  compile_us_ = ended_us_ - started_us_;
  compile_output_.main_ended();
  bool compiled = limit_ == nullptr && WIFEXITED(status_) && WEXITSTATUS(status_) == 0;
  if (!compiled) return finish();
  // A child for the program is made now and not earlier: the compiler, of the same user, could have ended it.
  Result<SpareChild> child = SpareChild::start(directory_.path(), options_.user);
  if (!child) return fail(no_resources("cannot start the program", child.failure()));
  child_.emplace(child.take());
  if (std::optional<Refusal> refusal = start_program()) fail(*refusal);
}

void Execution::fail(Refusal refusal) {
  refusal_ = std::move(refusal);
  finish();
}

void Execution::finish() {
  for (UniqueFd& fd : program_stdio_) fd.reset();
  for (std::unique_ptr<Output>& output : outputs_) output->main_ended();
  if (!refusal_) report_ = make_report();
  input_.close();
  finished_ = true;
  if (listener_ != nullptr) return listener_->touch();
  over_();
}

// The ring overwrites: a host that reads slowly loses the oldest bytes and is told which.
uint64_t Execution::unsent_from(uint8_t) const { return UINT64_MAX; }
uint64_t Execution::output_allowance() const {
  if (compiling_) return UINT64_MAX;
  uint64_t written = outputs_[0]->ring().end() + outputs_[1]->ring().end();
  return request_.output_bytes - std::min(request_.output_bytes, written);
}
void Execution::output_grew() {
  if (listener_ != nullptr) listener_->touch();
}
void Execution::output_ended() { output_grew(); }
void Execution::output_limit_hit() {
  end_by("output");
  for (std::unique_ptr<Output>& output : outputs_) output->drop_rest();
}
void Execution::input_taken(size_t count) {
  if (listener_ != nullptr) listener_->input_taken(count);
}

}  // namespace plybox::single

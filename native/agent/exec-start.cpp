// How a command is started: its standard streams, its environment, its cgroup, its first process.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "agent/child.h"
#include "agent/clock.h"
#include "agent/exec.h"
#include "agent/fault.h"
#include "agent/path-lookup.h"

namespace plybox {

// The command's ends are closed here once the command has them; the agent's ends are handed on to the streams.
struct Exec::Stdio {
  UniqueFd theirs[3];
  UniqueFd input;
  UniqueFd outputs[2];
  int numbers[3];  // what the command gets as 0, 1 and 2
};

namespace {

Refusal no_resources(const char* message, Failure failure) { return Refusal::failed("no-resources", message, failure); }

struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

// The end that the agent keeps does not block; the command's does, as programs expect.
Result<Pipe> make_pipe(bool agent_reads, const Account& account) {
  int ends[2];
  if (fault_at("pipe") || pipe2(ends, O_CLOEXEC) != 0) return Failure::here("pipe");
  Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  int ours = agent_reads ? ends[0] : ends[1];
  int theirs = agent_reads ? ends[1] : ends[0];
  if (fcntl(ours, F_SETFL, O_NONBLOCK) != 0) return Failure::here("pipe");
  // So that the user may open /dev/stdout and its like.
  if (account.uid != 0) (void)!fchown(theirs, account.uid, account.gid);
  return pipe;
}

std::vector<const char*> pointers(const std::vector<std::string>& texts) {
  std::vector<const char*> list;
  list.reserve(texts.size() + 1);
  for (const std::string& text : texts) list.push_back(text.c_str());
  list.push_back(nullptr);
  return list;
}

Refusal refusal_of(const ExecRequest& request, Failure failure) {
  std::string program(request.argv[0]);
  std::string_view step = failure.step;
  switch (failure.error) {
    case EAGAIN:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      return no_resources("too little is left to start the command", failure);
  }
  if (step == "cwd")
    return Refusal::failed("bad-cwd", "cannot enter " + std::string(request.cwd.value_or("/")), failure);
  if (step == "user") return Refusal::failed("bad-user", "cannot become " + std::string(request.user), failure);
  if (step != "execve") return no_resources("cannot start the command", failure);
  if (failure.error == ENOENT || failure.error == ENOTDIR) {
    return Refusal::failed("not-found", "no such program, or no such interpreter of it: " + program, failure);
  }
  if (failure.error == E2BIG) {
    return Refusal::failed("bad-request", "the arguments and the environment are too long together", failure);
  }
  return Refusal::failed("not-executable", "cannot be executed: " + program, failure);
}

}  // namespace

std::optional<Refusal> Exec::open_terminal_stdio(const ExecRequest& request, const Account& account, Stdio& stdio) {
  Result<Terminal> terminal = open_terminal(*request.terminal, account.uid);
  if (!terminal) return no_resources("cannot open a terminal", terminal.failure());
  // Input and output wait on descriptors of their own.
  stdio.input = UniqueFd(fault_at("dup-terminal") ? -1 : fcntl(terminal->master.get(), F_DUPFD_CLOEXEC, 3));
  if (!stdio.input) return no_resources("cannot open a terminal", Failure::here("dup-terminal"));
  stdio.outputs[0] = std::move(terminal->master);
  stdio.theirs[0] = std::move(terminal->slave);
  std::fill(stdio.numbers, stdio.numbers + 3, stdio.theirs[0].get());
  on_terminal_ = true;
  return std::nullopt;
}

std::optional<Refusal> Exec::open_pipes(const ExecRequest& request, const Account& account, Stdio& stdio) {
  stdio.numbers[0] = context_.null_device;
  if (request.input) {
    Result<Pipe> pipe = make_pipe(false, account);
    if (!pipe) return no_resources("cannot open stdin", pipe.failure());
    stdio.input = std::move(pipe->write);
    stdio.theirs[0] = std::move(pipe->read);
    stdio.numbers[0] = stdio.theirs[0].get();
  }
  int pipes = request.merge ? 1 : 2;
  for (int i = 0; i < pipes; i++) {
    Result<Pipe> pipe = make_pipe(true, account);
    if (!pipe) return no_resources("cannot open stdout", pipe.failure());
    stdio.outputs[i] = std::move(pipe->read);
    stdio.theirs[i + 1] = std::move(pipe->write);
  }
  stdio.numbers[1] = stdio.theirs[1].get();
  stdio.numbers[2] = stdio.theirs[pipes].get();
  return std::nullopt;
}

std::optional<Refusal> Exec::open_stdio(const ExecRequest& request, const Account& account, Stdio& stdio) {
  return request.terminal ? open_terminal_stdio(request, account, stdio) : open_pipes(request, account, stdio);
}

// Before the command runs: where a stream cannot be watched, nothing must have been started.
std::optional<Refusal> Exec::take_stdio(Stdio& stdio) {
  for (int i = 0; i < 2; i++) {
    if (!stdio.outputs[i]) continue;
    bool faulty = fault_at("epoll-add");
    Result<> opened = faulty ? Failure::here("epoll-add") : outputs_[i].open(std::move(stdio.outputs[i]));
    if (!opened) return no_resources("cannot watch the command's output", opened.failure());
  }
  if (stdio.input) input_.open(std::move(stdio.input), on_terminal_ ? Input::Sink::kTerminal : Input::Sink::kPipe);
  return std::nullopt;
}

std::optional<Refusal> Exec::limit_pids(uint64_t most) {
  limits_pids_ = cgroup_ != nullptr && context_.cgroups.limit_pids(*cgroup_, most);
  if (limits_pids_) return std::nullopt;
  return Refusal{"unsupported", "processes are not counted by command here", "pids"};
}

std::optional<Refusal> Exec::limit_memory(uint64_t most_bytes) {
  CommandCgroups& cgroups = context_.memory_cgroups;
  bool own_hierarchy = &cgroups != &context_.cgroups;
  if (own_hierarchy) memory_cgroup_ = cgroups.take();
  CommandCgroup* cgroup = own_hierarchy ? memory_cgroup_.get() : cgroup_.get();
  limits_memory_ = cgroup != nullptr && cgroups.limit_memory(*cgroup, most_bytes);
  if (limits_memory_) return std::nullopt;
  // Not delegated to the agent, not counted by the hierarchy, or not known to the kernel.
  bool unsupported = !cgroups.available() || errno == EACCES || errno == ENOENT || errno == EINVAL;
  if (unsupported) return Refusal{"unsupported", "memory is not limited by command here", "memoryBytes"};
  return no_resources("cannot make a memory cgroup for the command", Failure::here("memory-cgroup"));
}

std::optional<Refusal> Exec::start(const ExecRequest& request, const Account& account,
                                   char* const* sandbox_environment) {
  Stdio stdio;
  takes_input_ = request.input || request.terminal;
  if (std::optional<Refusal> refusal = open_stdio(request, account, stdio)) return refusal;
  if (std::optional<Refusal> refusal = take_stdio(stdio)) return refusal;

  std::vector<std::string> environment =
      build_environment(account, on_terminal_, sandbox_environment, request.environment);
  std::vector<std::string> arguments(request.argv.begin(), request.argv.end());
  std::vector<std::string> candidates = program_candidates(arguments[0], environment_value(environment, "PATH"));
  std::vector<const char*> environment_list = pointers(environment);
  std::vector<const char*> argument_list = pointers(arguments);
  std::vector<const char*> candidate_list = pointers(candidates);
  std::string cwd(request.cwd ? *request.cwd : account.home);
  cgroup_ = context_.cgroups.take(request.memory_bytes && &context_.memory_cgroups == &context_.cgroups);
  if (request.pids) {
    if (std::optional<Refusal> refusal = limit_pids(*request.pids)) return refusal;
  }
  if (request.memory_bytes) {
    if (std::optional<Refusal> refusal = limit_memory(*request.memory_bytes)) return refusal;
  }
  at_start_ = count_limits();
  storm_.all = context_.pids.refused_forks();

  ChildPlan plan;
  if (memory_cgroup_ != nullptr) plan.join_memory = memory_cgroup_->door();
  if (cgroup_ != nullptr) (cgroup_->version() == 1 ? plan.join_tasks : plan.start_in_group) = cgroup_->door();
  plan.filter = context_.filter;
  std::copy(stdio.numbers, stdio.numbers + 3, plan.stdio);
  plan.terminal = on_terminal_;
  plan.change_user = !runs_as(account);
  plan.uid = account.uid;
  plan.gid = account.gid;
  plan.groups = account.groups.data();
  plan.group_count = account.groups.size();
  const OomScores& oom = context_.oom;
  plan.oom_file = oom.file.get();
  plan.oom_of_agent = {oom.of_agent.data(), oom.of_agent.size()};
  plan.oom_of_commands = {oom.of_commands.data(), oom.of_commands.size()};
  plan.limits = context_.limits.data();
  plan.limit_count = context_.limits.size();
  plan.cwd = cwd.c_str();
  plan.fall_back_to_root = !request.cwd;
  plan.candidates = candidate_list.data();
  plan.argv = const_cast<char* const*>(argument_list.data());
  plan.environment = const_cast<char* const*>(environment_list.data());

  started_us_ = now_us();
  Result<pid_t> pid = start_child(plan);
  if (!pid) return refusal_of(request, pid.failure());
  pid_ = *pid;
  running_ = true;
  processes_.emplace(pid_, context_.cgroups, cgroup_.get());
  if (request.cpu_ms) {
    cpu_meter_ = std::make_unique<CpuMeter>(context_.loop, *processes_, *request.cpu_ms, [this] { end_by("cpu"); });
  }
  if (cgroup_ != nullptr) watch_for_fork_storm();
  if (request.wall_ms) wall_timer_.start(*request.wall_ms);
  return std::nullopt;
}

}  // namespace plybox

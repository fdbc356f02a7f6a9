#include "agent/agent.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "agent/clock.h"
#include "agent/processes.h"

namespace plybox {
namespace {

constexpr uint64_t kTidyMs = 2;
constexpr uint64_t kAcceptPauseMs = 100;
constexpr uint64_t kStopTickMs = 10;
constexpr uint64_t kStopGraceUs = 1000000;
// By then whatever is left waits for a device; where the agent is PID 1, its own end takes that along.
constexpr uint64_t kStopPatienceUs = 3000000;
constexpr size_t kMostConnections = 256;
// Used again one after the other, so that commands in a row make and remove no directories. As many as there are
// commands with something alive.
constexpr CgroupCounts kTracking{4, SIZE_MAX};
// None ahead: the kernel takes ten times as long to make one of memory, which only a command with a limit shall pay
// for.
constexpr CgroupCounts kMemory{0, 256};

// On version 2 memory is counted where commands are tracked.
UniqueFd memory_hierarchy(Descriptors& descriptors, int version) {
  return version == 1 ? std::move(descriptors.memory) : UniqueFd();
}

// No more than the agent itself may hand on.
void add_limit(std::vector<ResourceLimit>& limits, int resource, std::optional<uint64_t> most) {
  rlimit own;
  if (!most || getrlimit(static_cast<decltype(RLIMIT_CORE)>(resource), &own) != 0) return;
  rlim_t value = std::min<rlim_t>(*most, own.rlim_max);
  limits.push_back({resource, {value, value}});
}

std::vector<ResourceLimit> limits_of(const Options& options) {
  std::vector<ResourceLimit> limits;
  add_limit(limits, RLIMIT_CORE, uint64_t{0});
  add_limit(limits, RLIMIT_NOFILE, options.open_files);
  add_limit(limits, RLIMIT_FSIZE, options.file_bytes);
  return limits;
}

// The agent's death is the sandbox's, so where memory is short its commands go first. To raise one's score takes no
// right; a command that lowers its own again only endangers its own sandbox. Nothing where the score cannot be told.
OomScores oom_scores() {
  constexpr int kAboveAgent = 500, kMost = 1000;
  UniqueFd file(open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC));
  char text[16];
  ssize_t count = file ? pread(file.get(), text, sizeof(text), 0) : -1;
  int own = 0;
  if (count <= 0 || std::from_chars(text, text + count, own).ec != std::errc()) return {};
  return {std::move(file), std::to_string(own), std::to_string(std::min(own + kAboveAgent, kMost))};
}

}  // namespace

Agent::Agent(const Options& options, Descriptors descriptors, char* const* environment)
    : options_(options),
      descriptors_(std::move(descriptors)),
      environment_(environment),
      started_us_(now_us()),
      pids_(descriptors_.track, options.track_version),
      cgroups_(std::move(descriptors_.track), options.track_version, kTracking),
      memory_(descriptors_.memory, options.memory_version),
      memory_cgroups_(memory_hierarchy(descriptors_, options.memory_version), 1, kMemory),
      root_space_(options.least_room, std::move(descriptors_.quota)),
      program_{static_cast<unsigned short>(descriptors_.filter.size()), descriptors_.filter.data()},
      context_{loop_,
               cgroups_,
               options.memory_version == 2 ? cgroups_ : memory_cgroups_,
               memory_,
               pids_,
               descriptors_.null_device.get(),
               descriptors_.filter.empty() ? nullptr : &program_,
               limits_of(options),
               oom_scores(),
               options.file_bytes.has_value(),
               root_space_,
               [this] { changed_ = true; }},
      file_workers_(options.file_bytes),
      tidy_timer_(loop_, [this] { tidy(); }),
      accept_timer_(loop_, [this] { resume_accepting(); }),
      stop_timer_(loop_, [this] { stop_step(); }),
      listener_(*this),
      signals_(*this) {}

Result<> Agent::run() {
  if (Result<> opened = loop_.open(); !opened) return opened;
  if (Result<> watched = loop_.watch(descriptors_.signals.get(), EPOLLIN, signals_); !watched) return watched;
  if (Result<> watched = loop_.watch(descriptors_.listen.get(), EPOLLIN, listener_); !watched) return watched;
  cgroups_.tidy();
  loop_.run([this] { after_turn(); });
  return {};
}

void Agent::accept_connection() {
  UniqueFd socket(accept4(descriptors_.listen.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) {
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
    // Out of descriptors or memory: waits, because the set would report the same connection again at once.
    loop_.unwatch(descriptors_.listen.get(), listener_);
    accept_timer_.start(kAcceptPauseMs);
    return;
  }
  if (connections_.size() >= kMostConnections) return;
  auto connection = std::make_unique<Connection>(loop_, std::move(socket), *this);
  if (connection->open()) connections_.push_back(std::move(connection));
}

void Agent::resume_accepting() {
  if (!loop_.watch(descriptors_.listen.get(), EPOLLIN, listener_)) accept_timer_.start(kAcceptPauseMs);
}

void Agent::take_signal() {
  signalfd_siginfo info;
  if (read(descriptors_.signals.get(), &info, sizeof(info)) != sizeof(info)) return;
  if (info.ssi_signo == SIGCHLD) reap();
  if (info.ssi_signo != SIGTERM && info.ssi_signo != SIGINT) return;
  // Seen from PID 1, who is outside has no pid. Whoever is inside does not decide over the sandbox.
  if (getpid() != 1 || info.ssi_pid == 0) begin_stop();
}

// Every process of the sandbox that loses its parent becomes the agent's. Answers whether it has children left.
bool Agent::reap() {
  int status;
  rusage usage;
  for (;;) {
    pid_t pid = wait4(-1, &status, WNOHANG, &usage);
    if (pid == 0) return true;
    if (pid < 0) return errno != ECHILD;
    Exec* exec = execs_.find_running(pid);
    if (exec != nullptr) {
      exec->main_ended(status, usage);
    } else if (!file_workers_.ended(pid)) {
      // Perhaps the last process of a command that has finished.
      changed_ = true;
    }
  }
}

void Agent::after_turn() {
  for (const std::unique_ptr<Connection>& connection : connections_) connection->flush();
  std::erase_if(connections_, [](const std::unique_ptr<Connection>& connection) { return connection->dead(); });
  if (!changed_) return;
  changed_ = false;
  execs_.trim();
  if (!tidy_timer_.running()) tidy_timer_.start(kTidyMs);
}

// A little after a command has finished, so that it delays neither its report nor the next request.
void Agent::tidy() {
  execs_.release_cgroups();
  cgroups_.tidy();
  memory_cgroups_.tidy();
  execs_.trim();
  if (cgroups_.has_doomed() || memory_cgroups_.has_doomed()) tidy_timer_.start(kStopTickMs);
}

void Agent::begin_stop() {
  if (stop_began_us_ != 0) return;
  stop_began_us_ = now_us();
  signal_everything(SIGTERM);
  stop_timer_.start(kStopTickMs);
}

void Agent::stop_step() {
  uint64_t passed = now_us() - stop_began_us_;
  if (passed >= kStopGraceUs) signal_everything(SIGKILL);
  if (!reap() || passed >= kStopPatienceUs) return loop_.stop();
  stop_timer_.start(kStopTickMs);
}

// As PID 1, one call reaches everybody; as a plain process it would reach the whole machine.
void Agent::signal_everything(int signal) const {
  if (getpid() == 1) {
    kill(-1, signal);
    return;
  }
  for (const Process& process : descendants(list_processes(), getpid())) kill(process.pid, signal);
}

}  // namespace plybox

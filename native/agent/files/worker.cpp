// What a worker does before it serves, in this order:
// - it becomes findable and mortal: a name of its own, and an end that follows the agent's
// - it lets go of everything that the agent holds, so that nothing inside the sandbox leads there by way of it
// - it becomes the user, the last thing that needs the agent's rights
#include "agent/files/worker.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "agent/files/operations.h"
#include "agent/files/scrap.h"
#include "agent/files/session.h"
#include "common/syscalls.h"

namespace plybox {
namespace {

constexpr size_t kMostWorkers = 64;

// Rather a worker than the agent, whose death is the sandbox's. Not by so much that a worker dies for a command.
void prefer_for_oom_kill() {
  UniqueFd fd(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (fd) (void)!write(fd.get(), "100", 3);
}

void close_all_but(int socket) {
  if (socket > 3) sys::close_range(3, static_cast<unsigned>(socket) - 1, 0);
  sys::close_range(static_cast<unsigned>(socket) + 1, ~0u, 0);
}

// The agent has all blocked, and ignores SIGPIPE; so does a worker, whose host may be gone.
void reset_signals() {
  signal(SIGXFSZ, SIG_IGN);
  remove_scrap_on_termination();
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

bool become(const Account& account) {
  if (runs_as(account)) return true;
  return setgroups(account.groups.size(), account.groups.data()) == 0 &&
         setresgid(account.gid, account.gid, account.gid) == 0 && setresuid(account.uid, account.uid, account.uid) == 0;
}

void limit_resources(std::optional<uint64_t> file_bytes) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (!file_bytes) return;
  limit.rlim_cur = limit.rlim_max = *file_bytes;
  setrlimit(RLIMIT_FSIZE, &limit);
}

struct Worker {
  pid_t agent;
  std::optional<uint64_t> file_bytes;
};

[[noreturn]] void run_worker(const HandOver& connection, const FileRequest& request, const Account& account,
                             const Worker& worker) {
  prctl(PR_SET_NAME, "plyagent-file");
  close_all_but(connection.socket);
  prefer_for_oom_kill();
  limit_resources(worker.file_bytes);
  // Modes that are asked for are given as they are.
  umask(0);
  (void)!chdir("/");
  bool changed = become(account);
  int error = errno;
  // Both are lost with a change of user.
  prctl(PR_SET_DUMPABLE, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  reset_signals();
  if (getppid() != worker.agent) _exit(0);

  fcntl(connection.socket, F_SETFL, fcntl(connection.socket, F_GETFL) & ~O_NONBLOCK);
  Session session(UniqueFd(connection.socket), connection.channel, connection.outgoing, connection.incoming);
  if (changed) {
    serve_file(session, request);
  } else {
    session.refuse(Refusal::failed("bad-user", "cannot become this user", {"user", error}));
  }
  session.linger();
  _exit(0);
}

}  // namespace

std::optional<Refusal> FileWorkers::start(const HandOver& connection, const FileRequest& request,
                                          const Account& account) {
  if (alive_.size() >= kMostWorkers) return Refusal{"no-resources", "too many file requests are being served"};
  Worker worker{getpid(), file_bytes_};
  pid_t pid = fork();
  if (pid < 0) return Refusal::failed("no-resources", "cannot start a worker", Failure::here("fork"));
  if (pid == 0) run_worker(connection, request, account, worker);
  alive_.push_back(pid);
  return std::nullopt;
}

bool FileWorkers::ended(pid_t pid) { return std::erase(alive_, pid) > 0; }

}  // namespace plybox

// plylaunch: builds sandboxes for one daemon.
//
// Theory of operation. Requests come as frames on standard input (docs/protocol.md §5) and are served one after the
// other by one thread. For a launch, the ground is laid first (ground.cpp): a network namespace, a user namespace that
// is the sandbox's id range, its cgroups; then the launcher steps onto the stage (stage.cpp), an empty mount namespace,
// and clones a child into new namespaces, which mounts /dev, /proc and /sys there. The host's part (prepare.cpp) makes
// what must exist outside: the upper, id-mapped copies of the layers' mounts, the agent's listening socket. From the
// descriptors that it is left the child (child.cpp) mounts the sandbox's root, moves what it has mounted there, pivots
// into it, enters the user namespace, drops what it may not keep, and becomes the agent. All namespaces but the user
// namespace belong to the host's: root inside has no power over them, whatever it does to its own capabilities.
//
// The ground of the sandbox that is expected next is laid while nobody waits, by a thread that has nothing else to do
// (begun.cpp).
//
// Sandboxes are watched through pidfds. They outlive this program: when its input ends it just leaves.
#include <errno.h>
#include <linux/memfd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>

#include "common/syscalls.h"
#include "launcher/rootless.h"
#include "launcher/server.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace plybox {
namespace {

struct Options {
  const char* agent = nullptr;
  bool is_private = false;
  bool is_rootless = false;
  bool allow_faults = false;
};

int complain(const char* what, const char* why) {
  fprintf(stderr, "plylaunch: %s: %s\n", what, why);
  return 1;
}

// A sealed copy in memory: what runs inside can reach the program through /proc, and must not find the host's file.
Result<UniqueFd> load_agent(const char* path) {
  UniqueFd file(open(path, O_RDONLY | O_CLOEXEC));
  if (!file) return Failure::here("open-agent");
  int memory = sys::memfd_create("plyagent", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
  // Kernels before 6.3 do not know MFD_EXEC; there every memfd can be executed.
  if (memory < 0 && errno == EINVAL) memory = sys::memfd_create("plyagent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  UniqueFd agent(memory);
  if (!agent) return Failure::here("agent-memory");
  for (;;) {
    ssize_t count = sendfile(agent.get(), file.get(), nullptr, 1 << 20);
    if (count < 0) return Failure::here("copy-agent");
    if (count == 0) break;
  }
  if (fchmod(agent.get(), 0555) != 0) return Failure::here("agent-memory");
  if (fcntl(agent.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    return Failure::here("seal-agent");
  return agent;
}

bool read_options(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; i++) {
    std::string_view word = argv[i];
    if (word == "--agent" && i + 1 < argc)
      options.agent = argv[++i];
    else if (word == "--private")
      options.is_private = true;
    else if (word == "--rootless")
      options.is_rootless = true;
    else if (word == "--allow-fault-injection")
      options.allow_faults = true;
    else
      return false;
  }
  return options.agent != nullptr;
}

// Mounts made from here on are seen by nobody else, and end with the launcher and its sandboxes.
bool become_private() {
  return unshare(CLONE_NEWNS) == 0 && sys::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

int run(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--version") == 0) return puts("plylaunch " PLYBOX_VERSION) < 0;
  if (argc >= 2 && strcmp(argv[1], "--own-namespace") == 0) return enter_own_namespace(argc - 2, argv + 2);
  Options options;
  if (!read_options(argc, argv, options)) {
    fprintf(stderr,
            "usage: plylaunch --agent FILE [--private] [--rootless] [--allow-fault-injection] |\n"
            "       --own-namespace [OPTIONS] -- PROGRAM [ARGUMENT...] | --version\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  // What the daemon's own starter left open is not to be held open here.
  sys::close_range(STDERR_FILENO + 1, ~0U, 0);
  // Ctrl-C in the daemon's terminal is the daemon's business.
  setsid();
  umask(0);
  if (options.is_private && !become_private()) return complain("own mount namespace", strerror(errno));
  Result<UniqueFd> agent = load_agent(options.agent);
  if (!agent) return complain(agent.failure().step, strerror(agent.failure().error));
  Result<Stage> stage = Stage::make(options.is_rootless);
  if (!stage) return complain(stage.failure().step, strerror(stage.failure().error));
  return Server(Launcher(agent.take(), stage.take(), options.is_rootless), options.allow_faults)
      .run(STDIN_FILENO, STDOUT_FILENO);
}

}  // namespace
}  // namespace plybox

int main(int argc, char** argv) { return plybox::run(argc, argv); }

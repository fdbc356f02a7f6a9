// plyagent: PID 1 of a sandbox. Runs commands for the host and keeps their output. docs/protocol.md is what it speaks.
//
// Theory of operation
//
// One thread, one epoll loop (event-loop.h). A turn serves every descriptor that is ready, then sends what has come of
// it: at most one system call a connection (batch.h). Nothing blocks but the start of a process.
//
//   Connection ─┬▶ ExecChannel ──▶ Exec ──▶ Output ×2, each with its Ring
//   frames      │  credit,         one      └▶ Input
//   in and out  │  offsets         command  └▶ ProcessSet, Ending, CommandCgroup
//               └▶ DialChannel ──▶ Output, Input: of one socket
//
// - A Connection turns bytes into requests and serves its channels in turn. Whatever arrives, only that connection can
//   be closed by it.
// - An Exec does not depend on who listens. Its output goes into rings addressed by offset; an ExecChannel is a reader
// at
//   some offset, and a new one may take its place at any time. While somebody listens, a ring that is full of unsent
//   bytes stops the reading, and the pipe stops the command; while nobody does, the ring writes over its oldest bytes.
// - A process is started as by vfork (child.cpp), so that it costs the same whatever the agent holds in memory. It
// joins
//   its own cgroup before it can start anything, so that an Ending finds all of what it started.
// - An `exit` frame follows once the main process has been reaped, what it wrote has been read, and, where a limit
// ended
//   it, nothing that it started is left.
// - Every signal is blocked and read from a descriptor. SIGCHLD leads to reaping, of orphans too; SIGTERM and SIGINT
// stop
//   the sandbox as the request `stop` does.
//
// Memory is what the commands' rings hold and at most one frame a connection; frames that wait for a slow host are
// bounded by its credit, and its requests are not read while its answers wait.
#include <fcntl.h>
#include <unistd.h>

#include <string_view>

#include "agent/agent.h"
#include "agent/fault.h"
#include "agent/options.h"
#include "agent/set-up.h"
#include "agent/single/main.h"
#include "common/errno-name.h"

namespace plybox {
namespace {

void complain(const std::string& text) {
  std::string line = "plyagent: " + text + "\n";
  (void)!write(2, line.data(), line.size());
}

Result<Descriptors> set_up(const Options& options) {
  guard_process();
  close_others({options.listen_fd, options.track_fd, options.memory_fd, options.filter_fd, options.referenced_fd,
                options.reserved_fd});

  Descriptors descriptors;
  descriptors.listen = adopt(options.listen_fd);
  descriptors.track = adopt(options.track_fd);
  descriptors.memory = adopt(options.memory_fd);
  descriptors.quota = {adopt(options.referenced_fd), adopt(options.reserved_fd), options.quota_bytes};
  UniqueFd filter_file = adopt(options.filter_fd);
  Result<std::vector<sock_filter>> filter = read_command_filter(filter_file.get());
  if (!filter) return filter.failure();
  descriptors.filter = filter.take();
  if (fcntl(options.listen_fd, F_SETFL, O_NONBLOCK) != 0) return Failure::here("listen-fd");
  Result<UniqueFd> null_device = open_null_device();
  if (!null_device) return null_device.failure();
  descriptors.null_device = null_device.take();
  Result<UniqueFd> signals = block_signals();
  if (!signals) return signals.failure();
  descriptors.signals = signals.take();
  return descriptors;
}

int fail(Failure failure) {
  complain(std::string(failure.step) + ": " + errno_name(failure.error));
  return 1;
}

int run(int argc, char** argv) {
  Options options;
  if (std::string problem = parse_options(argc, argv, options); !problem.empty()) {
    complain(problem);
    return 2;
  }
  if (!options.fail_at.empty()) armed_fault = options.fail_at.c_str();
  Result<Descriptors> descriptors = set_up(options);
  if (!descriptors) return fail(descriptors.failure());
  Agent agent(options, descriptors.take(), environ);
  Result<> served = agent.run();
  return served ? 0 : fail(served.failure());
}

}  // namespace
}  // namespace plybox

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--single") return plybox::single::run(argc - 1, argv + 1);
  return plybox::run(argc, argv);
}

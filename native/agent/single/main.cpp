#include "agent/single/main.h"

#include <unistd.h>

#include <vector>

#include "agent/processes.h"
#include "agent/set-up.h"
#include "agent/single/listen.h"
#include "agent/single/privileges.h"
#include "agent/single/server.h"
#include "common/errno-name.h"

namespace plybox::single {
namespace {

int complain(const std::string& text, int code) {
  std::string line = "plyagent: " + text + "\n";
  (void)!write(2, line.data(), line.size());
  return code;
}

// What an init script started before it became the agent.
std::vector<pid_t> children_so_far() {
  std::vector<pid_t> children;
  for (const Process& process : list_processes()) {
    if (process.parent == getpid()) children.push_back(process.pid);
  }
  return children;
}

Result<> serve(const Options& options) {
  guard_process();
  close_others({options.memory_fd});
  Result<UniqueFd> null_device = open_null_device();
  if (!null_device) return null_device.failure();
  Result<UniqueFd> signals = block_signals();
  if (!signals) return signals.failure();
  UniqueFd listener, connection;
  std::vector<pid_t> exempt = children_so_far();
  if (options.transport == Transport::kStdio) {
    Result<Bridge> bridge = bridge_stdio();
    if (!bridge) return bridge.failure();
    connection = std::move(bridge->socket);
    exempt.push_back(bridge->pid);
  } else {
    Result<UniqueFd> socket =
        options.transport == Transport::kUnix ? listen_unix(options.socket) : listen_vsock(options.port);
    if (!socket) return socket.failure();
    listener = socket.take();
  }
  if (Result<> dropped = drop_privileges(); !dropped) return dropped;
  if (options.transport == Transport::kUnix) {
    if (Result<> shown = show_unix(options.socket); !shown) return shown;
  }
  Server server(options, std::move(listener), std::move(connection), signals.take(), std::move(exempt));
  return server.run();
}

}  // namespace

int run(int argc, char** argv) {
  Options options;
  if (std::string problem = parse_options(argc, argv, options); !problem.empty()) return complain(problem, 2);
  Result<> served = serve(options);
  if (served) return 0;
  return complain(std::string(served.failure().step) + ": " + errno_name(served.failure().error), 1);
}

}  // namespace plybox::single

// The processes that serve `file` requests: forks of the agent, one for a connection.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "agent/files/request.h"
#include "agent/users.h"
#include "common/refusal.h"

namespace plybox {

// A connection that a worker takes over.
struct HandOver {
  int socket;
  uint32_t channel;
  std::string outgoing;  // not sent yet
  std::string incoming;  // arrived behind the request
};

class FileWorkers {
 public:
  // `file_bytes`: how large a file they may make.
  explicit FileWorkers(std::optional<uint64_t> file_bytes) : file_bytes_(file_bytes) {}

  // Afterwards the connection is the worker's: the caller closes its own descriptor of it.
  std::optional<Refusal> start(const HandOver& connection, const FileRequest& request, const Account& account);
  // Of a process that has been reaped: whether it was a worker.
  bool ended(pid_t pid);

 private:
  std::optional<uint64_t> file_bytes_;
  std::vector<pid_t> alive_;
};

}  // namespace plybox

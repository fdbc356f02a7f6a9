// An agent as a process of its own, ended with all that it has started.
#pragma once
#include <sys/types.h>

#include <functional>
#include <string>

#include "tests/host.h"

namespace plybox::test {

// An empty directory, removed with the files in it at the end.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct AgentSettings {
  std::string track_directory = {};
  int track_version = 1;
  // On version 2 that is the track directory as well, and the agent lives in a child of it.
  std::string memory_directory = {};
  int memory_version = 1;
  int descriptors = 0;         // RLIMIT_NOFILE
  bool own_namespace = false;  // as PID 1 of one, with its own /proc
  // There, what it sees as /etc/passwd and /etc/group.
  std::string passwd_file = {}, group_file = {};
};

class AgentProcess {
 public:
  explicit AgentProcess(const std::string& program, const AgentSettings& settings = {});
  // Kills it with all that it started.
  ~AgentProcess();

  Host connect() { return Host(socket_); }
  Host connect_silently() { return Host(socket_, false); }
  pid_t pid() const { return pid_; }
  // Its exit code once it ends.
  int wait();

 private:
  TestDirectory directory_;
  std::string socket_;
  pid_t pid_ = 0;
};

// Runs `test` with the sanitized agent and with the one that is shipped.
void for_each_agent(const std::function<void(const std::string& program)>& test);

}  // namespace plybox::test

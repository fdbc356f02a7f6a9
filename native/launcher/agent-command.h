// What the agent of a sandbox is started with: its arguments and environment, made before there is a child, which has
// nobody to give memory back once it has become the agent.
#pragma once
#include <string>
#include <vector>

#include "launcher/cgroup.h"
#include "launcher/plan.h"

namespace plybox {

// Where the agent finds what it is handed.
constexpr int kListenFd = 3;
constexpr int kTrackFd = 4;
constexpr int kMemoryFd = 5;
constexpr int kFilterFd = 6;
constexpr int kReferencedFd = 7;
constexpr int kReservedFd = 8;
constexpr int kFirstOtherFd = 9;

class AgentCommand {
 public:
  // Refers to `plan`, which is to live as long.
  AgentCommand(const LaunchPlan& plan, const JoinedCgroups& cgroups);

  // As execve takes them.
  char* const* arguments() const { return const_cast<char* const*>(arguments_.data()); }
  char* const* environment() const { return const_cast<char* const*>(environment_.data()); }

 private:
  void add(const char* option, std::string value);

  std::vector<std::string> words_;
  std::vector<const char*> arguments_;
  std::vector<const char*> environment_;
};

}  // namespace plybox

#include "launcher/agent-command.h"

#include <string_view>

namespace plybox {
namespace {

// In `failAt`: the step of a command's start that fails, instead of one of the launch.
constexpr std::string_view kExecFault = "exec:";
// 2 MiB. File systems on disks take room for as much of a write at once as the page cache holds in one piece.
constexpr const char* kLargestFolio = "2097152";

}  // namespace

AgentCommand::AgentCommand(const LaunchPlan& plan, const JoinedCgroups& cgroups) : words_{"plyagent"} {
  add("--sandbox", plan.id);
  add("--incarnation", std::to_string(plan.incarnation));
  add("--listen-fd", std::to_string(kListenFd));
  if (cgroups.track >= 0) {
    add("--track-fd", std::to_string(kTrackFd));
    add("--track-version", std::to_string(cgroups.track_version));
  }
  if (cgroups.memory >= 0) {
    add("--memory-fd", std::to_string(kMemoryFd));
    add("--memory-version", std::to_string(cgroups.memory_version));
  }
  add("--open-files", std::to_string(plan.open_files));
  if (plan.file_bytes) add("--file-bytes", std::to_string(*plan.file_bytes));
  if (plan.upper.kind != UpperPlan::Kind::kTmpfs) add("--least-room", kLargestFolio);
  if (plan.upper.quota) {
    add("--referenced-fd", std::to_string(kReferencedFd));
    add("--reserved-fd", std::to_string(kReservedFd));
    add("--quota-bytes", std::to_string(plan.upper.quota->bytes));
  }
  if (!plan.seccomp.commands.empty()) add("--filter-fd", std::to_string(kFilterFd));
  // Empty unless the launcher was started to let tests make things fail.
  if (plan.fail_at.starts_with(kExecFault)) add("--fail-at", plan.fail_at.substr(kExecFault.size()));

  for (const std::string& word : words_) arguments_.push_back(word.c_str());
  arguments_.push_back(nullptr);
  for (const std::string& entry : plan.environment) environment_.push_back(entry.c_str());
  environment_.push_back(nullptr);
}

void AgentCommand::add(const char* option, std::string value) {
  words_.emplace_back(option);
  words_.push_back(std::move(value));
}

}  // namespace plybox

#include <signal.h>
#include <unistd.h>

#include "agent/ending.h"

namespace plybox {

void ProcessSet::leader_reaped() {
  reaped_ = true;
  signal_group(0);
}

void ProcessSet::signal_leader(int signal) const {
  if (!reaped_) kill(leader_, signal);
}

void ProcessSet::signal_group(int signal) {
  if (!group_gone_ && kill(-leader_, signal) != 0 && errno == ESRCH) group_gone_ = reaped_;
}

// Without a cgroup. Once the leader and its group are gone, their number means nothing any more, and only what was
// known before counts.
const std::vector<Process>& ProcessSet::refresh() {
  pid_t leader = group_gone_ ? -1 : leader_;
  known_ = relatives(list_processes(), leader, known_);
  return known_;
}

void ProcessSet::signal_session(int signal) {
  // Before the leader dies: a child in a session of its own is known by its parent alone.
  if (cgroup_ == nullptr) refresh();
  signal_group(signal);
  if (cgroup_ != nullptr) {
    for (pid_t pid : cgroups_.members(*cgroup_)) {
      if (getsid(pid) == leader_ && getpgid(pid) != leader_) kill(pid, signal);
    }
    return;
  }
  for (const Process& process : refresh()) {
    if (process.session == leader_ && process.group != leader_) kill(process.pid, signal);
  }
}

void ProcessSet::signal_all(int signal) {
  if (cgroup_ != nullptr) {
    for (pid_t pid : cgroups_.members(*cgroup_)) kill(pid, signal);
    return;
  }
  for (const Process& process : refresh()) kill(process.pid, signal);
}

void ProcessSet::kill_all() {
  signal_group(SIGKILL);
  if (cgroup_ != nullptr) return cgroups_.kill_all(*cgroup_);
  signal_all(SIGKILL);
}

std::vector<Process> ProcessSet::members() {
  if (cgroup_ == nullptr) return refresh();
  std::vector<Process> found;
  for (pid_t pid : cgroups_.members(*cgroup_)) {
    if (std::optional<Process> process = read_process(pid)) found.push_back(*process);
  }
  return found;
}

bool ProcessSet::empty() {
  if (!reaped_) return false;
  if (cgroup_ != nullptr) return cgroups_.empty(*cgroup_);
  return refresh().empty();
}

}  // namespace plybox

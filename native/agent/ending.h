// Ends a command from outside: SIGTERM to its process group and session, a second later SIGKILL, then SIGKILL to
// whatever else it started until nothing of it is left. One that harms its neighbours meanwhile is killed at once.
#pragma once
#include <functional>
#include <vector>

#include "agent/cgroups.h"
#include "agent/event-loop.h"
#include "agent/processes.h"

namespace plybox {

// A command's processes, as far as they can be found.
class ProcessSet {
 public:
  ProcessSet(pid_t leader, CommandCgroups& cgroups, CommandCgroup* cgroup)
      : leader_(leader), cgroups_(cgroups), cgroup_(cgroup) {}

  // The leader has been reaped: from now on its pid may come to mean another process, unless its group lives on.
  void leader_reaped();
  // Its cgroup is empty, and stays so.
  void drop_cgroup() { cgroup_ = nullptr; }

  void signal_leader(int signal) const;
  void signal_group(int signal);
  // The group and everything else of the session.
  void signal_session(int signal);
  void signal_all(int signal);
  // One sweep of SIGKILL over everything. To be repeated until empty().
  void kill_all();
  bool empty();
  // All that lives of it.
  std::vector<Process> members();

 private:
  const std::vector<Process>& refresh();

  pid_t leader_;
  CommandCgroups& cgroups_;
  CommandCgroup* cgroup_;
  bool reaped_ = false;
  bool group_gone_ = false;
  // Without a cgroup: all that has been found, so that a process is still known when its parent has ended.
  std::vector<Process> known_;
};

class Ending {
 public:
  enum class Pace { kGentle, kAtOnce };

  // `over` is called once, when nothing is left of the command.
  Ending(EventLoop& loop, ProcessSet& processes, Pace pace, std::function<void()> over);

  bool over() const { return over_; }

 private:
  void step();

  ProcessSet& processes_;
  std::function<void()> on_over_;
  Timer timer_;
  uint64_t grace_us_;
  uint64_t began_us_;
  uint64_t pause_ms_;
  bool killing_ = false;
  bool over_ = false;
};

}  // namespace plybox

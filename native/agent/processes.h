// What /proc knows of the sandbox's processes.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace plybox {

struct Process {
  pid_t pid;
  pid_t parent;
  pid_t group;
  pid_t session;
  uint64_t start_time;  // with the pid, names a process for good
  bool ended;           // waits to be reaped
  uint64_t ticks = 0;   // of the processor, with those of the children that it has waited for
};

// The fields of one /proc/PID/stat, whose program name may hold spaces and parentheses.
std::optional<Process> parse_stat(std::string_view text);

// Nothing where it is gone.
std::optional<Process> read_process(pid_t pid);

// All processes that can be seen; none where there is no /proc.
std::vector<Process> list_processes();

// The living processes among `all` that belong to the command of `leader`: of its group or its session, of one of the
// `known` (pid and start time), or a descendant of any of these.
std::vector<Process> relatives(const std::vector<Process>& all, pid_t leader, const std::vector<Process>& known);

// Living descendants of `ancestor`.
std::vector<Process> descendants(const std::vector<Process>& all, pid_t ancestor);

}  // namespace plybox

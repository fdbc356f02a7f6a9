// What the `processes` request answers: docs/protocol.md §4.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/users.h"

namespace plybox {

// One process as /proc/PID/stat has it; times in clock ticks, the resident set in pages.
struct ProcessDetail {
  pid_t pid;
  pid_t parent;
  std::string_view name;  // into the text that was parsed
  char state;
  uint64_t ticks;
  uint64_t threads;
  uint64_t resident;
};

std::optional<ProcessDetail> parse_detail(std::string_view stat);

// A command line as one text: arguments that end with NUL are parted by spaces.
std::string command_text(std::string_view cmdline);

// The answer as JSON, within one frame: what does not fit is not listed, and counted all the same.
std::string process_list_json(Users& users);

}  // namespace plybox

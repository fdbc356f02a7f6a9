#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace plybox::single {

enum class Transport { kNone, kUnix, kVsock, kStdio };

struct Options {
  Transport transport = Transport::kNone;
  std::string socket;
  uint32_t port = 0;
  size_t source_bytes = 65536;
  std::string work = "/tmp";
  // Whom programs run as; nothing: whoever the agent runs as.
  std::optional<std::pair<uid_t, gid_t>> user;
  bool once = false;
  int memory_fd = -1;
  int memory_version = 0;
};

// Answers what is wrong, or "".
std::string parse_options(int argc, char* const* argv, Options& options);

}  // namespace plybox::single

#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace plybox {

// The command line: docs/protocol.md §8.
struct Options {
  std::string sandbox;
  uint64_t incarnation = 0;
  int listen_fd = -1;
  int track_fd = -1;
  int track_version = 0;
  int memory_fd = -1;
  int memory_version = 0;
  std::string fail_at;  // fault.h
  // What a command may have; nothing where it keeps what the agent has.
  std::optional<uint64_t> open_files;
  std::optional<uint64_t> file_bytes;
  int filter_fd = -1;
  // root-space.h
  uint64_t least_room = 1;
  int referenced_fd = -1;
  int reserved_fd = -1;
  uint64_t quota_bytes = 0;
};

// Answers what is wrong, or "".
std::string parse_options(int argc, char* const* argv, Options& options);

}  // namespace plybox

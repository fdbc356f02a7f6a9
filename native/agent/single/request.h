// The request `execute` (docs/protocol.md §4), from JSON to plain values that outlive the frame.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/json.h"

namespace plybox::single {

struct ExecuteRequest {
  std::string source;
  std::string source_name;
  std::vector<std::string> compile;  // empty: nothing is compiled
  std::vector<std::string> run;      // at least one
  std::string input;
  bool stream_input = false;
  std::vector<std::pair<std::string, std::string>> environment;
  uint64_t wall_ms = 10000;
  std::optional<uint64_t> cpu_ms;
  std::optional<uint64_t> memory_bytes;
  uint64_t output_bytes = 0;
  uint64_t compile_wall_ms = 0;
  uint64_t processes = 0;
  size_t ring_bytes = 0;
};

// Nothing where document.problem() says what is wrong.
std::optional<ExecuteRequest> decode_execute(JsonDocument& document, std::string_view payload, size_t source_bytes);

}  // namespace plybox::single

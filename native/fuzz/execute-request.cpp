// The decoder of `execute`, which takes programs and limits from whoever reaches the one-execution agent: any text is
// either understood within the protocol's ranges or refused with a reason.
#include <cstdlib>

#include "agent/single/request.h"
#include "common/frame.h"
#include "common/refusal.h"

using namespace plybox;

namespace {

// Small, so that inputs of the fuzzer's size meet it.
constexpr size_t kSourceBytes = 256;
constexpr uint64_t kDayMs = 86400000;

void require(bool holds) {
  if (!holds) std::abort();
}

bool within(uint64_t value, uint64_t min, uint64_t max) { return value >= min && value <= max; }

void check_words(const std::vector<std::string>& argv) {
  require(!argv[0].empty());
  for (const std::string& word : argv) require(word.find('\0') == word.npos);
}

void check(const single::ExecuteRequest& request) {
  require(request.source.size() <= kSourceBytes);
  const std::string& name = request.source_name;
  require(within(name.size(), 1, 255) && name != "." && name != "..");
  require(name.find('/') == name.npos && name.find('\0') == name.npos);
  require(!request.run.empty());
  check_words(request.run);
  if (!request.compile.empty()) check_words(request.compile);
  require(!request.stream_input || request.input.empty());
  for (const auto& [key, value] : request.environment) {
    require(!key.empty() && key.find('=') == key.npos && key.find('\0') == key.npos);
    require(value.find('\0') == value.npos);
  }
  require(within(request.wall_ms, 1, kDayMs) && within(request.compile_wall_ms, 1, kDayMs));
  require(!request.cpu_ms || within(*request.cpu_ms, 1, kDayMs));
  require(!request.memory_bytes || within(*request.memory_bytes, 1 << 20, kMaxOffset));
  require(request.output_bytes <= kMaxOffset);
  require(within(request.processes, 1, 65536));
  require(within(request.ring_bytes, 4096, 67108864));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  JsonDocument document;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (std::optional<single::ExecuteRequest> request = single::decode_execute(document, text, kSourceBytes)) {
    require(!document.problem().found());
    check(*request);
    return 0;
  }
  require(document.problem().found());
  JsonDocument answer;
  answer.parse(to_json(Refusal::bad_request(document.problem()))).string("code");
  require(!answer.problem().found());
  return 0;
}

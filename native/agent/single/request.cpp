#include "agent/single/request.h"

#include "common/frame.h"

namespace plybox::single {
namespace {

constexpr uint64_t kDefaultWallMs = 10000;
constexpr uint64_t kDefaultCompileWallMs = 30000;
constexpr uint64_t kDefaultOutputBytes = 16 << 20;
constexpr uint64_t kDefaultProcesses = 128;
// A day: within what the kernel's clocks and limits can count in every unit.
constexpr uint64_t kMaxMs = 86400000;
constexpr size_t kMinRing = 4096;
constexpr size_t kMaxRing = 64 << 20;
constexpr size_t kDefaultRing = 1 << 20;
constexpr uint64_t kMinMemory = 1 << 20;

std::vector<std::string> read_argv(JsonObject& json, const char* name, JsonArray array) {
  std::vector<std::string_view> words = array.strings();
  if (words.empty() || words[0].empty()) json.refuse(name, "names no program");
  return {words.begin(), words.end()};
}

bool is_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." && name.find('/') == name.npos;
}

}  // namespace

std::optional<ExecuteRequest> decode_execute(JsonDocument& document, std::string_view payload, size_t source_bytes) {
  JsonObject json = document.parse(payload);
  if (json.string("type") != "execute") json.refuse("type", "is not execute");
  ExecuteRequest request;
  request.source = json.content("source", source_bytes);
  request.source_name = json.string("sourceName");
  if (!is_file_name(request.source_name)) json.refuse("sourceName", "is not the name of a file");
  if (std::optional<JsonArray> argv = json.optional_array("compile"))
    request.compile = read_argv(json, "compile", *argv);
  request.run = read_argv(json, "run", json.array("run"));
  if (json.has("stdin")) request.input = json.content("stdin");
  request.stream_input = json.optional_boolean("stdinStream", false);
  if (request.stream_input && json.has("stdin")) json.refuse("stdinStream", "and stdin exclude each other");
  if (json.has("env")) {
    for (const auto& [name, value] : json.string_map("env")) {
      if (name.empty() || name.find('=') != name.npos) json.refuse("env", "has a name that is empty or holds =");
      request.environment.emplace_back(name, value);
    }
  }
  request.wall_ms = json.optional_integer("wallMs", 1, kMaxMs).value_or(kDefaultWallMs);
  request.cpu_ms = json.optional_integer("cpuMs", 1, kMaxMs);
  request.memory_bytes = json.optional_integer("memoryBytes", kMinMemory, kMaxOffset);
  request.output_bytes = json.optional_integer("outputBytes", 0, kMaxOffset).value_or(kDefaultOutputBytes);
  request.compile_wall_ms = json.optional_integer("compileWallMs", 1, kMaxMs).value_or(kDefaultCompileWallMs);
  request.processes = json.optional_integer("processes", 1, 65536).value_or(kDefaultProcesses);
  request.ring_bytes = json.optional_integer("ringBytes", kMinRing, kMaxRing).value_or(kDefaultRing);
  json.finish();
  if (document.problem().found()) return std::nullopt;
  return request;
}

}  // namespace plybox::single

#include "agent/requests.h"

#include <algorithm>

#include "common/frame.h"
#include "common/signals.h"

namespace plybox {
namespace {

constexpr uint64_t kMaxSafeInteger = 9007199254740991;
// As many as the kernel can number.
constexpr uint64_t kMostPids = 4194304;
// With less a program hardly starts.
constexpr uint64_t kMinMemory = 1 << 20;
constexpr size_t kMinRing = 4096;
constexpr size_t kMaxRing = 64 << 20;
constexpr size_t kDefaultRing = 1 << 20;

// ex_ and 26 characters of Crockford's base32 in lower case.
bool is_exec_id(std::string_view text) {
  constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  return text.size() == 29 && text.starts_with("ex_") &&
         std::all_of(text.begin() + 3, text.end(), [&](char c) { return kAlphabet.find(c) != kAlphabet.npos; });
}

bool is_variable_name(std::string_view name) {
  auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || digit(c); });
}

std::string_view read_exec_id(JsonObject& json) {
  std::string_view id = json.string("exec");
  if (!is_exec_id(id)) json.refuse("exec", "is not ex_ and 26 characters");
  return id;
}

TerminalSize read_size(JsonObject& json) {
  auto columns = static_cast<uint16_t>(json.integer("columns", 1, UINT16_MAX));
  auto rows = static_cast<uint16_t>(json.integer("rows", 1, UINT16_MAX));
  return {columns, rows};
}

void read_command(JsonObject& json, ExecRequest& request) {
  std::optional<JsonArray> argv = json.optional_array("argv");
  std::optional<std::string_view> shell = json.optional_string("shell");
  if (argv.has_value() == shell.has_value()) json.refuse("argv", "or shell is needed, and not both");
  if (argv) {
    request.argv = argv->strings();
    if (request.argv.empty() || request.argv[0].empty()) json.refuse("argv", "names no program");
  } else if (shell) {
    request.argv = {"/bin/sh", "-c", *shell};
  }
}

void read_environment(JsonObject& json, ExecRequest& request) {
  if (!json.has("env")) return;
  request.environment = json.string_map("env");
  for (const auto& [name, value] : request.environment) {
    if (!is_variable_name(name)) json.refuse("env", "has a name that is not letters, digits and _");
  }
}

Request read_exec(JsonObject& json) {
  ExecRequest request{};
  request.exec = read_exec_id(json);
  read_command(json, request);
  request.cwd = json.optional_string("cwd");
  if (request.cwd && !request.cwd->starts_with('/')) json.refuse("cwd", "is not an absolute path");
  read_environment(json, request);
  request.user = json.optional_string("user").value_or("root");
  if (request.user.empty()) json.refuse("user", "is empty");
  request.input = json.optional_boolean("stdin", false);
  request.merge = json.optional_boolean("merge", false);
  if (std::optional<JsonObject> size = json.optional_object("pty")) {
    request.terminal = read_size(*size);
    size->finish();
  }
  request.wall_ms = json.optional_integer("wallMs", 1, kMaxSafeInteger);
  request.cpu_ms = json.optional_integer("cpuMs", 1, kMaxSafeInteger / 1000);
  request.pids = json.optional_integer("pids", 1, kMostPids);
  request.memory_bytes = json.optional_integer("memoryBytes", kMinMemory, kMaxSafeInteger);
  request.output_bytes = json.optional_integer("outputBytes", 0, kMaxSafeInteger);
  request.ring_bytes = json.optional_integer("ringBytes", kMinRing, kMaxRing).value_or(kDefaultRing);
  return request;
}

void read_offsets(JsonObject& json, uint64_t (&offsets)[2]) {
  offsets[0] = json.integer("stdout", 0, kMaxOffset);
  offsets[1] = json.integer("stderr", 0, kMaxOffset);
}

Request read_attach(JsonObject& json) {
  AttachRequest request{};
  request.exec = read_exec_id(json);
  read_offsets(json, request.offsets);
  return request;
}

Request read_read(JsonObject& json) {
  ReadRequest request{};
  request.exec = read_exec_id(json);
  read_offsets(json, request.offsets);
  request.follow = json.optional_boolean("follow", false);
  return request;
}

Request read_signal(JsonObject& json) {
  SignalRequest request{read_exec_id(json), 0, SignalScope::kGroup};
  std::optional<int> signal = signal_number(json.string("signal"));
  if (!signal) json.refuse("signal", "is not the name of a signal, such as SIGTERM");
  request.signal = signal.value_or(0);
  std::string_view scope = json.optional_string("scope").value_or("group");
  if (scope == "process") {
    request.scope = SignalScope::kProcess;
  } else if (scope == "all") {
    request.scope = SignalScope::kAll;
  } else if (scope != "group") {
    json.refuse("scope", "is not process, group or all");
  }
  return request;
}

Request read_resize(JsonObject& json) {
  std::string_view exec = read_exec_id(json);
  return ResizeRequest{exec, read_size(json)};
}

Request read_dial(JsonObject& json) {
  DialRequest request{};
  std::optional<uint64_t> port = json.optional_integer("port", 1, UINT16_MAX);
  std::optional<std::string_view> socket = json.optional_string("socket");
  if (port.has_value() == socket.has_value()) json.refuse("port", "or socket is needed, and not both");
  request.port = static_cast<uint16_t>(port.value_or(0));
  request.socket = socket.value_or("");
  if (socket && !socket->starts_with('/')) json.refuse("socket", "is not an absolute path");
  if (socket && socket->find('\0') != socket->npos) json.refuse("socket", "holds a NUL");
  request.host = json.optional_string("host");
  if (socket && request.host) json.refuse("host", "goes with a port alone");
  return request;
}

struct RequestType {
  const char* name;
  Request (*read)(JsonObject&);
};

constexpr RequestType kTypes[] = {
    {"exec", read_exec},
    {"attach", read_attach},
    {"read", read_read},
    {"wait", [](JsonObject& json) -> Request { return WaitRequest{read_exec_id(json)}; }},
    {"input", [](JsonObject& json) -> Request { return InputRequest{read_exec_id(json)}; }},
    {"list", [](JsonObject&) -> Request { return ListRequest{}; }},
    {"signal", read_signal},
    {"resize", read_resize},
    {"forget", [](JsonObject& json) -> Request { return ForgetRequest{read_exec_id(json)}; }},
    {"dial", read_dial},
    {"ports", [](JsonObject&) -> Request { return PortsRequest{}; }},
    {"usage", [](JsonObject&) -> Request { return UsageRequest{}; }},
    {"processes", [](JsonObject&) -> Request { return ProcessesRequest{}; }},
    {"file", [](JsonObject& json) -> Request { return read_file_request(json); }},
    {"stop", [](JsonObject&) -> Request { return StopRequest{}; }},
};

}  // namespace

std::vector<const char*> request_types() {
  std::vector<const char*> names;
  for (const RequestType& type : kTypes) names.push_back(type.name);
  return names;
}

std::optional<Hello> decode_hello(JsonDocument& document, std::string_view payload) {
  JsonObject json = document.parse(payload);
  Hello hello{};
  hello.generation = json.integer("generation", 0, UINT32_MAX);
  if (json.string("role") != "host") json.refuse("role", "is not host");
  hello.sandbox = json.string("sandbox");
  hello.incarnation = json.integer("incarnation", 0, kMaxSafeInteger);
  json.finish();
  if (document.problem().found()) return std::nullopt;
  return hello;
}

std::optional<Request> decode_request(JsonDocument& document, std::string_view payload) {
  JsonObject json = document.parse(payload);
  std::string_view name = json.string("type");
  auto type = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const RequestType& t) { return name == t.name; });
  if (type == std::end(kTypes)) {
    json.refuse("type", "is not a request that this agent serves");
    return std::nullopt;
  }
  Request request = type->read(json);
  json.finish();
  if (document.problem().found()) return std::nullopt;
  return request;
}

}  // namespace plybox

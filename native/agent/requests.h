// The requests that the agent serves: docs/protocol.md §§2 and 4, from JSON to plain values. What comes out is within
// its ranges; strings are views into the document.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "agent/files/request.h"
#include "agent/terminal.h"
#include "common/json.h"

namespace plybox {

struct Hello {
  uint64_t generation;
  std::string_view sandbox;
  uint64_t incarnation;
};

struct ExecRequest {
  std::string_view exec;
  std::vector<std::string_view> argv;  // at least one
  std::optional<std::string_view> cwd;
  std::vector<std::pair<std::string_view, std::string_view>> environment;
  std::string_view user;
  bool input;
  bool merge;
  std::optional<TerminalSize> terminal;
  std::optional<uint64_t> wall_ms;
  std::optional<uint64_t> cpu_ms;
  std::optional<uint64_t> pids;
  std::optional<uint64_t> memory_bytes;
  std::optional<uint64_t> output_bytes;
  size_t ring_bytes;
};

struct AttachRequest {
  std::string_view exec;
  uint64_t offsets[2];  // of stdout and stderr
};
struct ReadRequest {
  std::string_view exec;
  uint64_t offsets[2];  // of stdout and stderr
  bool follow;
};
struct WaitRequest {
  std::string_view exec;
};
struct InputRequest {
  std::string_view exec;
};
struct ListRequest {};
enum class SignalScope { kProcess, kGroup, kAll };
struct SignalRequest {
  std::string_view exec;
  int signal;
  SignalScope scope;
};
struct ResizeRequest {
  std::string_view exec;
  TerminalSize size;
};
struct ForgetRequest {
  std::string_view exec;
};
// Either a port, on `host` or on any loopback address, or the path of a Unix socket.
struct DialRequest {
  uint16_t port;  // 0: none
  std::optional<std::string_view> host;
  std::string_view socket;
};
struct PortsRequest {};
struct UsageRequest {};
struct ProcessesRequest {};
struct StopRequest {};

using Request = std::variant<ExecRequest, AttachRequest, ReadRequest, WaitRequest, InputRequest, ListRequest,
                             SignalRequest, ResizeRequest, ForgetRequest, DialRequest, PortsRequest, UsageRequest,
                             ProcessesRequest, FileRequest, StopRequest>;

// The names of the requests, as `hello` announces them.
std::vector<const char*> request_types();

// Nothing when something is wrong; document.problem() then says what. A problem without a field means that the payload
// is not JSON at all.
std::optional<Hello> decode_hello(JsonDocument& document, std::string_view payload);
std::optional<Request> decode_request(JsonDocument& document, std::string_view payload);

}  // namespace plybox

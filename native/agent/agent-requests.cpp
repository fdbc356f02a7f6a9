// How the agent answers each request: docs/protocol.md §§2 and 4.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "agent/agent.h"
#include "agent/clock.h"
#include "agent/dial-channel.h"
#include "agent/exec-channel.h"
#include "agent/input-channel.h"
#include "agent/listening-ports.h"
#include "agent/process-list.h"
#include "agent/processes.h"
#include "agent/read-channel.h"
#include "agent/wait-channel.h"

namespace plybox {
namespace {

constexpr uint64_t kGeneration = 1;

uint64_t own_rss_bytes() {
  UniqueFd fd(open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  char text[128];
  ssize_t count = fd ? read(fd.get(), text, sizeof(text)) : -1;
  if (count <= 0) return 0;
  const char* end = text + count;
  const char* second = std::find(text, text + count, ' ') + 1;
  uint64_t pages = 0;
  if (second < end) std::from_chars(second, end, pages);
  return pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// Nothing where both offsets are within what the command has written.
std::optional<Refusal> offsets_problem(const Exec& exec, const uint64_t (&offsets)[2]) {
  for (uint8_t stream : {1, 2}) {
    uint64_t end = exec.output(stream).ring().end();
    if (offsets[stream - 1] <= end) continue;
    const char* name = stream == 1 ? "stdout" : "stderr";
    std::string message = std::string(name) + " has not come so far: it stands at " + std::to_string(end);
    return Refusal{"bad-offset", std::move(message), name};
  }
  return std::nullopt;
}

}  // namespace

std::variant<std::string, Refusal> Agent::greet(const Hello& hello) {
  if (hello.generation < kGeneration) {
    std::string message = "generation " + std::to_string(hello.generation) + " is not spoken here";
    return Refusal{"unsupported-generation", std::move(message), "generation"};
  }
  if (hello.sandbox != options_.sandbox) {
    return Refusal{"wrong-sandbox", "this is the agent of " + options_.sandbox, "sandbox"};
  }
  if (hello.incarnation != options_.incarnation) {
    std::string message = "this is incarnation " + std::to_string(options_.incarnation);
    return Refusal{"wrong-sandbox", std::move(message), "incarnation"};
  }
  JsonWriter json;
  json.begin_object();
  json.key("generation").integer(kGeneration);
  json.key("role").string("agent");
  json.key("version").string(PLYBOX_VERSION);
  json.key("sandbox").string(options_.sandbox);
  json.key("incarnation").integer(options_.incarnation);
  json.key("capabilities").begin_array();
  for (const char* type : request_types()) json.string(type);
  if (cgroups_.works()) json.string("cgroup");
  if (memory_.available()) json.string("memory-events");
  json.end_array().end_object();
  return json.text();
}

bool Agent::serve(Connection& connection, uint32_t channel, JsonDocument& document, std::string_view payload) {
  std::optional<Request> request = decode_request(document, payload);
  if (!request) return false;
  std::visit([&](const auto& which) { answer(connection, channel, which); }, *request);
  return true;
}

Exec* Agent::find_or_refuse(Connection& connection, uint32_t channel, std::string_view id) {
  Exec* exec = execs_.find(id);
  if (exec == nullptr) connection.refuse(channel, {"exec-not-found", "no such command: " + std::string(id), "exec"});
  return exec;
}

void Agent::answer(Connection& connection, uint32_t channel, const ExecRequest& request) {
  if (stop_began_us_ != 0) return connection.refuse(channel, {"stopping", "the sandbox is being stopped"});
  if (execs_.find(request.exec) != nullptr) {
    return connection.refuse(channel, {"exec-exists", "there is a command of this id", "exec"});
  }
  std::variant<const Account*, Refusal> account = users_.lookup(request.user);
  if (const Refusal* refusal = std::get_if<Refusal>(&account)) return connection.refuse(channel, *refusal);
  // Commands in quick succession use one cgroup again, rather than each making its own.
  if (cgroups_.works() && !cgroups_.has_spare()) execs_.release_cgroups();
  auto exec = std::make_unique<Exec>(context_, request);
  if (std::optional<Refusal> refusal = exec->start(request, *std::get<const Account*>(account), environment_)) {
    // What it had taken of cgroups is to be tidied.
    changed_ = true;
    return connection.refuse(channel, *refusal);
  }
  JsonWriter json;
  json.begin_object().key("pid").integer(static_cast<uint64_t>(exec->pid())).end_object();
  connection.ack(channel, json.text());
  constexpr uint64_t kFromTheStart[2] = {0, 0};
  connection.stream(std::make_unique<ExecChannel>(connection, channel, execs_.add(std::move(exec)), kFromTheStart));
}

void Agent::answer(Connection& connection, uint32_t channel, const AttachRequest& request) {
  Exec* exec = find_or_refuse(connection, channel, request.exec);
  if (exec == nullptr) return;
  if (std::optional<Refusal> refusal = offsets_problem(*exec, request.offsets)) {
    return connection.refuse(channel, *refusal);
  }
  JsonWriter json;
  json.begin_object();
  json.key("pid").integer(static_cast<uint64_t>(exec->pid()));
  json.key("stdinOffset").integer(exec->input().offset());
  json.key("running").boolean(exec->running());
  json.end_object();
  connection.ack(channel, json.text());
  connection.stream(std::make_unique<ExecChannel>(connection, channel, *exec, request.offsets));
}

void Agent::answer(Connection& connection, uint32_t channel, const ReadRequest& request) {
  Exec* exec = find_or_refuse(connection, channel, request.exec);
  if (exec == nullptr) return;
  if (std::optional<Refusal> refusal = offsets_problem(*exec, request.offsets)) {
    return connection.refuse(channel, *refusal);
  }
  JsonWriter json;
  json.begin_object().key("pid").integer(static_cast<uint64_t>(exec->pid()));
  for (uint8_t stream : {1, 2}) {
    const Ring& ring = exec->output(stream).ring();
    json.key(stream == 1 ? "stdout" : "stderr").begin_object();
    json.key("from").integer(std::max(request.offsets[stream - 1], ring.begin()));
    json.key("to").integer(ring.end()).end_object();
  }
  json.key("report");
  exec->finished() ? json.raw(exec->report()) : json.null();
  json.end_object();
  connection.ack(channel, json.text());
  connection.stream(std::make_unique<ReadChannel>(connection, channel, *exec, request));
}

void Agent::answer(Connection& connection, uint32_t channel, const WaitRequest& request) {
  Exec* exec = find_or_refuse(connection, channel, request.exec);
  if (exec == nullptr) return;
  connection.ack(channel, "{}");
  connection.stream(std::make_unique<WaitChannel>(connection, channel, *exec));
}

void Agent::answer(Connection& connection, uint32_t channel, const InputRequest& request) {
  Exec* exec = find_or_refuse(connection, channel, request.exec);
  if (exec == nullptr) return;
  if (!exec->takes_input()) return connection.refuse(channel, {"no-stdin", "the command has no open stdin", "exec"});
  JsonWriter json;
  json.begin_object().key("stdinOffset").integer(exec->input().offset()).end_object();
  connection.ack(channel, json.text());
  connection.stream(std::make_unique<InputChannel>(connection, channel, *exec));
}

void Agent::answer(Connection& connection, uint32_t channel, const ListRequest&) {
  connection.ack(channel, execs_.list_json());
}

void Agent::answer(Connection& connection, uint32_t channel, const SignalRequest& request) {
  Exec* exec = find_or_refuse(connection, channel, request.exec);
  if (exec == nullptr) return;
  exec->signal(request.signal, request.scope);
  connection.ack(channel, "{}");
}

void Agent::answer(Connection& connection, uint32_t channel, const ResizeRequest& request) {
  Exec* exec = find_or_refuse(connection, channel, request.exec);
  if (exec == nullptr) return;
  if (!exec->on_terminal())
    return connection.refuse(channel, {"not-a-terminal", "the command has no terminal", "exec"});
  Result<> resized = exec->resize(request.size);
  if (!resized) {
    return connection.refuse(channel, Refusal::failed("not-a-terminal", "cannot resize it", resized.failure()));
  }
  connection.ack(channel, "{}");
}

void Agent::answer(Connection& connection, uint32_t channel, const ForgetRequest& request) {
  Exec* exec = find_or_refuse(connection, channel, request.exec);
  if (exec == nullptr) return;
  if (!exec->finished()) return connection.refuse(channel, {"still-running", "the command has not finished", "exec"});
  exec->forget();
  connection.ack(channel, "{}");
}

void Agent::answer(Connection& connection, uint32_t channel, const DialRequest& request) {
  std::variant<std::vector<SocketAddress>, Refusal> addresses = addresses_of(request);
  if (const Refusal* refusal = std::get_if<Refusal>(&addresses)) return connection.refuse(channel, *refusal);
  auto& found = std::get<std::vector<SocketAddress>>(addresses);
  connection.stream(std::make_unique<DialChannel>(connection, channel, loop_, std::move(found)));
}

void Agent::answer(Connection& connection, uint32_t channel, const PortsRequest&) {
  connection.ack(channel, listening_ports_json());
}

void Agent::answer(Connection& connection, uint32_t channel, const UsageRequest&) {
  JsonWriter json;
  json.begin_object();
  json.key("processes").integer(list_processes().size());
  json.key("rssBytes").integer(own_rss_bytes());
  json.key("uptimeMs").thousandths(now_us() - started_us_);
  json.end_object();
  connection.ack(channel, json.text());
}

void Agent::answer(Connection& connection, uint32_t channel, const ProcessesRequest&) {
  connection.ack(channel, process_list_json(users_));
}

void Agent::answer(Connection& connection, uint32_t channel, const FileRequest& request) {
  if (stop_began_us_ != 0) return connection.refuse(channel, {"stopping", "the sandbox is being stopped"});
  if (connection.channels_opened() > 1) {
    return connection.refuse(channel, {"bad-request", "a file request is the only one of its connection"});
  }
  std::variant<const Account*, Refusal> account = users_.lookup(request.user);
  if (const Refusal* refusal = std::get_if<Refusal>(&account)) return connection.refuse(channel, *refusal);
  HandOver hand_over = connection.hand_over(channel);
  if (std::optional<Refusal> refusal = file_workers_.start(hand_over, request, *std::get<const Account*>(account))) {
    return connection.refuse(channel, *refusal);
  }
  connection.drop();
}

void Agent::answer(Connection& connection, uint32_t channel, const StopRequest&) {
  connection.ack(channel, "{}");
  begin_stop();
}

}  // namespace plybox

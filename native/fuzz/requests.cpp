// The decoder of every request, and of hello: any text is either understood within the protocol's ranges or refused
// with a reason, and what the writer makes of its strings is JSON again.
#include <cstdlib>

#include "agent/requests.h"
#include "common/frame.h"
#include "common/refusal.h"

using namespace plybox;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const ExecRequest& request) {
  require(request.exec.size() == 29 && !request.argv.empty() && !request.user.empty());
  require(request.ring_bytes >= 4096 && request.ring_bytes <= 67108864);
  require(!request.wall_ms || *request.wall_ms >= 1);
  require(!request.terminal || (request.terminal->columns > 0 && request.terminal->rows > 0));
  for (std::string_view argument : request.argv) require(argument.find('\0') == argument.npos);
  for (const auto& [name, value] : request.environment) require(name.find('=') == name.npos && !name.empty());
}
void check(const AttachRequest& request) {
  require(request.offsets[0] <= kMaxOffset && request.offsets[1] <= kMaxOffset);
}
void check(const ReadRequest& request) {
  require(request.offsets[0] <= kMaxOffset && request.offsets[1] <= kMaxOffset);
}
void check(const SignalRequest& request) { require(request.signal > 0); }
void check(const DialRequest& request) {
  require((request.port == 0) == request.socket.starts_with('/'));
  require(request.socket.find('\0') == request.socket.npos && (request.port != 0 || !request.host));
}
void check(const FileRequest& request) {
  require(request.path.starts_with('/') && request.path.find('\0') == request.path.npos && !request.user.empty());
  if (const auto* read = std::get_if<ReadOp>(&request.op)) require(!read->to || *read->to >= read->from);
  if (const auto* write = std::get_if<WriteOp>(&request.op)) require(write->mode <= 07777);
  if (const auto* move = std::get_if<MoveOp>(&request.op)) require(move->to.starts_with('/'));
  if (const auto* search = std::get_if<SearchOp>(&request.op)) require(search->name || search->content);
}
template <typename Other>
void check(const Other&) {}

void check_refusal(const JsonProblem& problem) {
  require(problem.found());
  JsonDocument answer;
  answer.parse(to_json(Refusal::bad_request(problem))).string("code");
  require(!answer.problem().found());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  JsonDocument document;
  if (std::optional<Request> request = decode_request(document, text)) {
    std::visit([](const auto& which) { check(which); }, *request);
  } else {
    check_refusal(document.problem());
  }
  JsonDocument greeting;
  if (!decode_hello(greeting, text)) check_refusal(greeting.problem());
  return 0;
}

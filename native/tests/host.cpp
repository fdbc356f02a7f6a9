#include "tests/host.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "tests/waits.h"

namespace plybox::test {
namespace {

const rapidjson::Value* find(rapidjson::Document& document, const std::string& payload, const char* field) {
  document.Parse(payload.c_str(), payload.size());
  REQUIRE_FALSE(document.HasParseError());
  auto member = document.FindMember(field);
  return member == document.MemberEnd() ? nullptr : &member->value;
}

}  // namespace

std::string Message::text(const char* field) const {
  rapidjson::Document document;
  const rapidjson::Value* value = find(document, payload, field);
  return value != nullptr && value->IsString() ? value->GetString() : "";
}
uint64_t Message::number(const char* field) const {
  rapidjson::Document document;
  const rapidjson::Value* value = find(document, payload, field);
  return value != nullptr && value->IsUint64() ? value->GetUint64() : 0;
}
double Message::fraction(const char* field) const {
  rapidjson::Document document;
  const rapidjson::Value* value = find(document, payload, field);
  return value != nullptr && value->IsNumber() ? value->GetDouble() : -1;
}
bool Message::boolean(const char* field) const {
  rapidjson::Document document;
  const rapidjson::Value* value = find(document, payload, field);
  REQUIRE(value != nullptr);
  return value->GetBool();
}
bool Message::is_null(const char* field) const {
  rapidjson::Document document;
  const rapidjson::Value* value = find(document, payload, field);
  return value != nullptr && value->IsNull();
}

Host::Host(const std::string& path, bool greet) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  bound_waiting(socket_.get());
  REQUIRE(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  if (!greet) return;
  send(Kind::kHello, 0,
       std::string(R"({"generation":1,"role":"host","sandbox":")") + kSandbox + R"(","incarnation":7})");
  Message hello = next();
  REQUIRE(hello.kind == Kind::kHello);
  REQUIRE(hello.text("role") == "agent");
}

void Host::send_raw(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    REQUIRE_MESSAGE((count > 0 || errno != EAGAIN), "the agent does not read");
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void Host::send(Kind kind, uint32_t channel, std::string_view payload) {
  std::string bytes;
  append_frame(bytes, kind, channel, payload);
  send_raw(bytes);
}

void Host::open(uint32_t channel, const std::string& request) {
  offsets_.erase({channel, 1});
  offsets_.erase({channel, 2});
  send(Kind::kOpen, channel, request);
}

void Host::input(uint32_t channel, uint64_t offset, std::string_view data) {
  std::string bytes;
  append_data_header(bytes, channel, 0, offset, data.size());
  bytes += data;
  send_raw(bytes);
}

void Host::end_input(uint32_t channel, uint64_t offset) {
  std::string bytes;
  append_end(bytes, channel, 0, offset);
  send_raw(bytes);
}

void Host::credit(uint32_t channel, uint32_t count) {
  std::string bytes;
  append_credit(bytes, channel, count);
  send_raw(bytes);
}

// Answers false at the end of the connection.
bool Host::receive() {
  Frame frame;
  for (;;) {
    FrameDecoder::Step step = decoder_.next(frame);
    REQUIRE(step != FrameDecoder::Step::kBad);
    if (step == FrameDecoder::Step::kFrame) {
      REQUIRE(payload_problem(frame) == nullptr);
      waiting_.push_back({frame.kind, frame.channel, std::string(frame.payload)});
      return true;
    }
    REQUIRE(readable(socket_.get()));
    chunk_.resize(262144);
    ssize_t count = recv(socket_.get(), chunk_.data(), chunk_.size(), 0);
    if (count <= 0) return false;
    chunk_.resize(static_cast<size_t>(count));
    decoder_.feed(chunk_);
  }
}

Message Host::next() {
  if (waiting_.empty()) REQUIRE_MESSAGE(receive(), "the agent has hung up");
  Message message = std::move(waiting_.front());
  waiting_.erase(waiting_.begin());
  return message;
}

bool Host::hung_up() {
  while (receive()) {
  }
  return true;
}

void Host::take(Outcome& outcome, const Message& message) {
  switch (message.kind) {
    case Kind::kAck:
      outcome.ack = message;
      break;
    case Kind::kData: {
      Data data = *parse_data(message.payload);
      REQUIRE((data.stream == 1 || data.stream == 2));
      uint64_t& offset = offsets_[{message.channel, data.stream}];
      REQUIRE(data.offset == offset);
      offset += data.bytes.size();
      (data.stream == 1 ? outcome.out : outcome.err) += data.bytes;
      break;
    }
    case Kind::kLost: {
      Lost lost = *parse_lost(message.payload);
      REQUIRE(lost.from == (offsets_[{message.channel, lost.stream}]));
      offsets_[{message.channel, lost.stream}] = lost.to;
      outcome.lost.emplace_back(lost.from, lost.to);
      break;
    }
    case Kind::kEnd: {
      Data end = *parse_end(message.payload);
      REQUIRE(end.offset == (offsets_[{message.channel, end.stream}]));
      outcome.ends++;
      break;
    }
    case Kind::kExit:
    case Kind::kError:
      outcome.last = message;
      break;
    default:
      break;
  }
}

Outcome Host::collect(uint32_t channel, const std::function<void(const Message&)>& other) {
  Outcome outcome;
  for (;;) {
    Message message = next();
    if (message.channel != channel) {
      REQUIRE_MESSAGE(static_cast<bool>(other), message.payload);
      other(message);
      continue;
    }
    take(outcome, message);
    if (message.kind == Kind::kData) credit(channel, static_cast<uint32_t>(message.payload.size() - kDataHeader));
    if (message.kind == Kind::kExit || message.kind == Kind::kError) return outcome;
  }
}

Outcome Host::run(const std::string& request) {
  uint32_t channel = new_channel();
  open(channel, request);
  return collect(channel);
}

Message Host::ask(const std::string& request) {
  uint32_t channel = new_channel();
  open(channel, request);
  Message answer = next();
  REQUIRE(answer.channel == channel);
  return answer;
}

std::string exec_request(const std::string& fields, std::string* id) {
  static unsigned number = 0;
  char text[32];
  std::snprintf(text, sizeof(text), "ex_%026u", ++number);
  if (id != nullptr) *id = text;
  return about("exec", text, fields);
}

std::string shell_request(const std::string& line, const std::string& fields) {
  JsonWriter json;
  json.begin_object().key("shell").string(line).end_object();
  std::string shell = json.text().substr(1, json.text().size() - 2);
  return exec_request(fields.empty() ? shell : shell + "," + fields);
}

std::string about(const char* type, const std::string& id, const std::string& fields) {
  return std::string(R"({"type":")") + type + R"(","exec":")" + id + "\"" + (fields.empty() ? "" : "," + fields) + "}";
}

std::string numbers(int last) {
  std::string text;
  for (int i = 1; i <= last; i++) text += std::to_string(i) + "\n";
  return text;
}

}  // namespace plybox::test

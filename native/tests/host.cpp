#include "tests/host.h"

#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "agent/clock.h"
#include "agent/processes.h"
#include "common/syscalls.h"

namespace plybox::test {
namespace {

constexpr const char* kSandbox = "sb_01k6zq3v9nabcdefghjkmnpqrs";
// Nothing takes as long; what waits so long hangs.
constexpr int kHangMs = 60000;

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

TestDirectory::TestDirectory() {
  char path[] = "/tmp/plybox-test-XXXXXX";
  REQUIRE(mkdtemp(path) != nullptr);
  path_ = path;
}

TestDirectory::~TestDirectory() {
  if (DIR* directory = opendir(path_.c_str())) {
    while (dirent* entry = readdir(directory)) unlink((path_ + "/" + entry->d_name).c_str());
    closedir(directory);
  }
  CHECK(rmdir(path_.c_str()) == 0);
}

AgentProcess::AgentProcess(const std::string& program, const AgentSettings& settings) {
  socket_ = directory_.path() + "/agent.sock";

  UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_.copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(listen(listener.get(), 64) == 0);

  std::vector<std::string> words = {program, "--sandbox", kSandbox, "--incarnation", "7"};
  words.insert(words.end(), {"--listen-fd", std::to_string(listener.get())});
  auto add_directory = [&](const std::string& path, const char* name, int version) {
    if (path.empty()) return UniqueFd();
    UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY));
    REQUIRE(fd);
    words.insert(words.end(), {std::string("--") + name + "-fd", std::to_string(fd.get())});
    words.insert(words.end(), {std::string("--") + name + "-version", std::to_string(version)});
    return fd;
  };
  UniqueFd track = add_directory(settings.track_directory, "track", settings.track_version);
  UniqueFd memory = add_directory(settings.memory_directory, "memory", settings.memory_version);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const char* environment[] = {"FROM_SANDBOX=yes", "ASAN_OPTIONS=detect_leaks=1:abort_on_error=1", nullptr};

  sys::CloneArgs clone;
  if (settings.own_namespace) clone.flags = CLONE_NEWPID | CLONE_NEWNS;
  pid_ = sys::clone3(clone);
  REQUIRE(pid_ >= 0);
  if (pid_ > 0) return;
  if (settings.own_namespace) {
    // Nothing of this may reach the machine's own mounts.
    if (sys::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) _exit(126);
    if (sys::mount("proc", "/proc", "proc", 0, nullptr) != 0) _exit(126);
    for (auto [file, target] :
         {std::pair(settings.passwd_file, "/etc/passwd"), std::pair(settings.group_file, "/etc/group")}) {
      if (!file.empty() && sys::mount(file.c_str(), target, nullptr, MS_BIND, nullptr) != 0) _exit(126);
    }
  }
  // A test's own limits, in the child alone.
  rlimit limit{static_cast<rlim_t>(settings.descriptors), static_cast<rlim_t>(settings.descriptors)};
  if (settings.descriptors > 0) setrlimit(RLIMIT_NOFILE, &limit);
  if (!settings.memory_directory.empty()) {
    UniqueFd procs(::open((settings.memory_directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    (void)!write(procs.get(), "0", 1);
  }
  execve(argv[0], argv.data(), const_cast<char**>(environment));
  _exit(127);
}

AgentProcess::~AgentProcess() {
  if (pid_ > 0) {
    for (const Process& process : descendants(list_processes(), pid_)) kill(process.pid, SIGKILL);
    // As `stop` does, so that the sanitizer looks for leaks.
    kill(pid_, SIGTERM);
    int code = wait();
    CHECK_MESSAGE(code == 0, "the agent did not end well");
  }
}

int AgentProcess::wait() {
  int status = wait_for(std::exchange(pid_, 0));
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void for_each_agent(const std::function<void(const std::string&)>& test) {
  const char* programs = std::getenv("PLYAGENTS");
  REQUIRE_MESSAGE(programs != nullptr, "PLYAGENTS names the agents to test, separated by colons");
  std::string_view rest = programs;
  while (!rest.empty()) {
    std::string program(rest.substr(0, rest.find(':')));
    rest.remove_prefix(std::min(rest.size(), program.size() + 1));
    CAPTURE(program);
    test(program);
  }
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

TestCgroup::TestCgroup(const char* hierarchy) {
  std::string path = std::string("/sys/fs/cgroup/") + hierarchy + "/plybox-test-" + std::to_string(getpid());
  if (mkdir(path.c_str(), 0755) == 0) path_ = path;
}

TestCgroup::~TestCgroup() {
  if (path_.empty()) return;
  if (DIR* directory = opendir(path_.c_str())) {
    while (dirent* entry = readdir(directory)) {
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') rmdir((path_ + "/" + entry->d_name).c_str());
    }
    closedir(directory);
  }
  CHECK_MESSAGE(rmdir(path_.c_str()) == 0, "the test's cgroup is still in use: " << path_);
}

bool TestCgroup::set(const char* file, const std::string& value) const {
  UniqueFd fd(::open((path_ + "/" + file).c_str(), O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

int TestCgroup::children() const {
  int count = 0;
  DIR* directory = opendir(path_.c_str());
  REQUIRE(directory != nullptr);
  while (dirent* entry = readdir(directory)) count += entry->d_type == DT_DIR && entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

void eventually(const std::function<bool()>& done) {
  uint64_t began_us = now_us();
  while (!done()) {
    REQUIRE_MESSAGE(now_us() - began_us < kHangMs * 1000, "it never happens");
    poll(nullptr, 0, 1);
  }
}

int wait_for(pid_t child) {
  UniqueFd process(sys::pidfd_open(child, 0));
  bool ends = readable(process.get());
  CHECK_MESSAGE(ends, "a process that was told to end does not, and is killed");
  if (!ends) kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

void bound_waiting(int socket) {
  timeval most{kHangMs / 1000, 0};
  for (int direction : {SO_RCVTIMEO, SO_SNDTIMEO}) setsockopt(socket, SOL_SOCKET, direction, &most, sizeof(most));
}

bool readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return poll(&one, 1, kHangMs) == 1;
}

void skipped(const std::string& reason) { MESSAGE("skipped: " << reason); }

bool has_ended(pid_t pid) {
  UniqueFd process(sys::pidfd_open(pid, 0));
  pollfd one{process.get(), POLLIN, 0};
  return !process || poll(&one, 1, 0) == 1;
}

}  // namespace plybox::test

// A host for the tests: starts an agent as a process of its own, and speaks the protocol with it over a real socket.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/frame.h"
#include "common/json.h"
#include "common/unique-fd.h"

namespace plybox::test {

struct Message {
  Kind kind;
  uint32_t channel;
  std::string payload;

  // Of hello, ack, exit and error. A field that is not there is "" or 0 or null.
  std::string text(const char* field) const;
  uint64_t number(const char* field) const;
  double fraction(const char* field) const;
  bool boolean(const char* field) const;
  bool is_null(const char* field) const;
};

// What became of one command, as its channel heard it.
struct Outcome {
  Message ack{Kind::kClose, 0, ""};
  Message last{Kind::kClose, 0, ""};  // exit or error
  std::string out, err;
  std::vector<std::pair<uint64_t, uint64_t>> lost;
  int ends = 0;

  std::string code() const { return last.kind == Kind::kError ? last.text("code") : ""; }
};

class Host {
 public:
  // Says hello.
  explicit Host(const std::string& socket, bool greet = true);
  Host(Host&&) = default;

  void send(Kind kind, uint32_t channel, std::string_view payload = {});
  void send_raw(std::string_view bytes);
  void open(uint32_t channel, const std::string& request);
  void input(uint32_t channel, uint64_t offset, std::string_view bytes);
  void end_input(uint32_t channel, uint64_t offset);
  void credit(uint32_t channel, uint32_t bytes);

  // The next frame. Fails the test where none comes: the agent has hung up or hangs.
  Message next();
  // Whether the agent has hung up; passes over frames before that.
  bool hung_up();
  // Reads frames of `channel` up to `exit` or `error`, granting credit for what comes. Frames of other channels are
  // handed to `other`.
  Outcome collect(uint32_t channel, const std::function<void(const Message&)>& other = {});
  // Opens the request on a channel of its own and collects it.
  Outcome run(const std::string& request);
  // The answer to a request without streams.
  Message ask(const std::string& request);
  // The offset and bytes of a data frame must be those of the stream; adds them to the outcome.
  void take(Outcome& outcome, const Message& message);

  int socket() const { return socket_.get(); }
  uint32_t new_channel() { return ++channels_; }

 private:
  bool receive();

  UniqueFd socket_;
  FrameDecoder decoder_;
  std::string chunk_;
  std::vector<Message> waiting_;
  std::map<std::pair<uint32_t, uint8_t>, uint64_t> offsets_;
  uint32_t channels_ = 1000;
};

// An empty directory, removed with the files in it at the end.
class TestDirectory {
 public:
  TestDirectory();
  ~TestDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct AgentSettings {
  std::string track_directory = {};
  int track_version = 1;
  // On version 2 that is the track directory as well, and the agent lives in a child of it.
  std::string memory_directory = {};
  int memory_version = 1;
  int descriptors = 0;         // RLIMIT_NOFILE
  bool own_namespace = false;  // as PID 1 of one, with its own /proc
  // There, what it sees as /etc/passwd and /etc/group.
  std::string passwd_file = {}, group_file = {};
};

class AgentProcess {
 public:
  explicit AgentProcess(const std::string& program, const AgentSettings& settings = {});
  // Kills it with all that it started.
  ~AgentProcess();

  Host connect() { return Host(socket_); }
  Host connect_silently() { return Host(socket_, false); }
  pid_t pid() const { return pid_; }
  // Its exit code once it ends.
  int wait();

 private:
  TestDirectory directory_;
  std::string socket_;
  pid_t pid_ = 0;
};

// Runs `test` with the sanitized agent and with the one that is shipped.
void for_each_agent(const std::function<void(const std::string& program)>& test);

// {"type":"exec", a new id, `fields`}
std::string exec_request(const std::string& fields, std::string* id = nullptr);
std::string shell_request(const std::string& line, const std::string& fields = "");
// {"type":type,"exec":id, `fields`}
std::string about(const char* type, const std::string& id, const std::string& fields = "");

// A cgroup of the tests' own, removed with what is below it at the end. `path` is "" where none can be made.
class TestCgroup {
 public:
  explicit TestCgroup(const char* hierarchy);
  ~TestCgroup();
  const std::string& path() const { return path_; }
  bool set(const char* file, const std::string& value) const;
  // How many directories are below it.
  int children() const;

 private:
  std::string path_;
};

// Waits until `done`, asked again and again, is true; fails the test when it never is.
void eventually(const std::function<bool()>& done);

// The wait status of a child once it has ended; fails the test, and ends the child, when it never does.
int wait_for(pid_t child);

// A socket whose calls fail rather than wait for ever.
void bound_waiting(int socket);
// Whether something comes; false when that never happens.
bool readable(int fd);

// Says why a test case does not apply on this machine.
void skipped(const std::string& reason);

// Whether the process of this pid has ended by now.
bool has_ended(pid_t pid);

}  // namespace plybox::test

// A host for the tests: speaks the protocol with an agent over a real socket.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/frame.h"
#include "common/json.h"
#include "common/unique-fd.h"

namespace plybox::test {

// The sandbox that every agent here is started for.
inline constexpr const char* kSandbox = "sb_01k6zq3v9nabcdefghjkmnpqrs";

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

// {"type":"exec", a new id, `fields`}
std::string exec_request(const std::string& fields, std::string* id = nullptr);
std::string shell_request(const std::string& line, const std::string& fields = "");
// {"type":type,"exec":id, `fields`}
std::string about(const char* type, const std::string& id, const std::string& fields = "");

// What `seq last` writes.
std::string numbers(int last);

}  // namespace plybox::test

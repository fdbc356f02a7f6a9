// What the tests of file requests have in common: a tree of their own, and one call a request.
#pragma once
#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/agent-process.h"
#include "tests/host.h"

namespace plybox::test {

// A directory made in `place`, and removed with all that is in it.
class Tree {
 public:
  explicit Tree(const char* place = "/tmp");
  ~Tree();
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  const std::string& path() const { return path_; }
  std::string at(const std::string& name) const { return path_ + "/" + name; }
  // With the directories above it.
  void write(const std::string& name, std::string_view content) const;
  std::string read(const std::string& name) const;
  bool has(const std::string& name) const;
  // Names in it, of all kinds.
  size_t count() const;

 private:
  std::string path_;
};

// The JSON of a path or other text that may be no UTF-8.
std::string json_bytes(std::string_view bytes);
// {"type":"file","op":op,"path":path, `fields`}
std::string file_request(const char* op, const std::string& path, const std::string& fields = "");

// Asks on a connection of its own. For operations whose ack is the answer `last` is the ack.
Outcome file(AgentProcess& agent, const char* op, const std::string& path, const std::string& fields = "");
// Sends `input` on stream 0, against credit.
Outcome file_with_input(AgentProcess& agent, const char* op, const std::string& path, std::string_view input,
                        const std::string& fields = "");
// Goes on with a request whose ack has come.
Outcome send_input(Host& host, uint32_t channel, std::string_view input);

// The objects of a stream of lines.
std::vector<Message> lines(const Outcome& outcome);
// Their member `field`, joined by blanks.
std::string joined(const std::vector<Message>& lines, const char* field = "path");

// Runs a command line of the machine. Answers what it wrote; REQUIREs that it succeeds.
std::string run_command(const std::string& line);

// Of the name itself, also where that is a symlink; fails the test where nothing has it.
struct stat status_of(const std::string& path);

}  // namespace plybox::test

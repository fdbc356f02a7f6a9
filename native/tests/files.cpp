#include "tests/files.h"

#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <ftw.h>
#include <unistd.h>

#include <cstdio>

namespace plybox::test {

Tree::Tree(const char* place) : path_(std::string(place) + "/plybox-tree-XXXXXX") {
  REQUIRE(mkdtemp(path_.data()) != nullptr);
  REQUIRE(chmod(path_.c_str(), 0755) == 0);
}

Tree::~Tree() {
  auto drop = [](const char* path, const struct stat*, int, FTW*) { return ::remove(path); };
  CHECK(nftw(path_.c_str(), drop, 32, FTW_DEPTH | FTW_PHYS) == 0);
}

void Tree::write(const std::string& name, std::string_view content) const {
  for (size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    mkdir(at(name.substr(0, slash)).c_str(), 0755);
  }
  UniqueFd fd(open(at(name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  REQUIRE(fd);
  REQUIRE(::write(fd.get(), content.data(), content.size()) == static_cast<ssize_t>(content.size()));
}

std::string Tree::read(const std::string& name) const {
  UniqueFd fd(open(at(name).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return "(no such file)";
  std::string content;
  char piece[65536];
  ssize_t count;
  while ((count = ::read(fd.get(), piece, sizeof(piece))) > 0) content.append(piece, static_cast<size_t>(count));
  return content;
}

bool Tree::has(const std::string& name) const {
  struct stat status;
  return lstat(at(name).c_str(), &status) == 0;
}

size_t Tree::count() const {
  DIR* directory = opendir(path_.c_str());
  REQUIRE(directory != nullptr);
  size_t count = 0;
  while (readdir(directory) != nullptr) count++;
  closedir(directory);
  return count - 2;
}

std::string json_bytes(std::string_view bytes) {
  JsonWriter json;
  json.bytes(bytes);
  return json.text();
}

std::string file_request(const char* op, const std::string& path, const std::string& fields) {
  std::string request = std::string(R"({"type":"file","op":")") + op + R"(","path":)" + json_bytes(path);
  return request + (fields.empty() ? "" : "," + fields) + "}";
}

namespace {

bool is_stream(std::string_view op) {
  return op == "read" || op == "write" || op == "list" || op == "search" || op == "watch" || op.starts_with("tar");
}

}  // namespace

Outcome file(AgentProcess& agent, const char* op, const std::string& path, const std::string& fields) {
  Host host = agent.connect();
  if (is_stream(op)) return host.run(file_request(op, path, fields));
  Outcome outcome;
  outcome.last = host.ask(file_request(op, path, fields));
  return outcome;
}

Outcome send_input(Host& host, uint32_t channel, std::string_view input) {
  Outcome outcome;
  size_t credit = kInitialCredit;
  for (uint64_t offset = 0; offset < input.size();) {
    size_t count = std::min<size_t>({credit, 65536, input.size() - offset});
    if (count > 0) {
      host.input(channel, offset, input.substr(offset, count));
      offset += count;
      credit -= count;
      continue;
    }
    Message message = host.next();
    host.take(outcome, message);
    if (message.kind == Kind::kError) return outcome;
    if (message.kind == Kind::kCredit) credit += *parse_credit(message.payload);
  }
  host.end_input(channel, input.size());
  return host.collect(channel);
}

Outcome file_with_input(AgentProcess& agent, const char* op, const std::string& path, std::string_view input,
                        const std::string& fields) {
  Host host = agent.connect();
  host.open(1, file_request(op, path, fields));
  return send_input(host, 1, input);
}

std::vector<Message> lines(const Outcome& outcome) {
  std::vector<Message> all;
  for (size_t start = 0; start < outcome.out.size();) {
    size_t newline = outcome.out.find('\n', start);
    REQUIRE(newline != outcome.out.npos);
    all.push_back({Kind::kData, 1, outcome.out.substr(start, newline - start)});
    start = newline + 1;
  }
  return all;
}

std::string joined(const std::vector<Message>& lines, const char* field) {
  std::string text;
  for (const Message& line : lines) text += (text.empty() ? "" : " ") + line.text(field);
  return text;
}

std::string run_command(const std::string& line) {
  FILE* pipe = popen(line.c_str(), "re");
  REQUIRE(pipe != nullptr);
  std::string output;
  char piece[4096];
  for (size_t count; (count = fread(piece, 1, sizeof(piece), pipe)) > 0;) output.append(piece, count);
  REQUIRE_MESSAGE(pclose(pipe) == 0, line);
  return output;
}

struct stat status_of(const std::string& path) {
  struct stat status {};
  REQUIRE(lstat(path.c_str(), &status) == 0);
  return status;
}

}  // namespace plybox::test

#include "agent/process-list.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <utility>
#include <vector>

#include "agent/passwd.h"
#include "common/frame.h"
#include "common/json.h"
#include "common/unique-fd.h"

namespace plybox {
namespace {

constexpr size_t kMaxCommand = 1024;
// Each name that is looked up reads the sandbox's own /etc/passwd, which may be large.
constexpr size_t kMaxNames = 64;
// One entry takes at most six bytes for each of the command's (control characters are escaped) and some for the rest.
constexpr size_t kRoom = kMaxLength - 8 * kMaxCommand;

std::string_view next_word(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

template <typename Number>
bool to_number(std::string_view word, Number& number) {
  return std::from_chars(word.data(), word.data() + word.size(), number).ec == std::errc();
}

// What fits into `text` of a file below `directory`.
std::string_view read_at(int directory, const char* path, char* text, size_t size) {
  UniqueFd fd(openat(directory, path, O_RDONLY | O_CLOEXEC));
  ssize_t count = fd ? read(fd.get(), text, size) : -1;
  return {text, count > 0 ? static_cast<size_t>(count) : 0};
}

class Names {
 public:
  explicit Names(Users& users) : users_(users) {}

  std::string of(uint32_t uid) {
    for (const auto& [known, name] : names_)
      if (known == uid) return name;
    std::string digits = std::to_string(uid);
    if (names_.size() == kMaxNames) return digits;
    std::variant<const Account*, Refusal> found = users_.lookup(digits);
    const Account* const* account = std::get_if<const Account*>(&found);
    names_.emplace_back(uid, account == nullptr ? digits : (*account)->name);
    return names_.back().second;
  }

 private:
  Users& users_;
  std::vector<std::pair<uint32_t, std::string>> names_;
};

void write_process(JsonWriter& json, const ProcessDetail& process, uint32_t uid, const std::string& user,
                   const std::string& command) {
  static const uint64_t ticks_per_second = static_cast<uint64_t>(sysconf(_SC_CLK_TCK));
  static const uint64_t page_size = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  json.begin_object();
  json.key("pid").integer(static_cast<uint64_t>(process.pid));
  json.key("ppid").integer(static_cast<uint64_t>(process.parent));
  json.key("uid").integer(uid);
  json.key("user").string(user);
  json.key("state").string({&process.state, 1});
  json.key("cpuMs").integer(process.ticks * 1000 / ticks_per_second);
  json.key("rssBytes").integer(process.resident * page_size);
  json.key("threads").integer(process.threads);
  json.key("command").string(command);
  json.end_object();
}

}  // namespace

// pid (name) state ppid … utime and stime as fields 14 and 15, threads as field 20, resident pages as field 24
std::optional<ProcessDetail> parse_detail(std::string_view stat) {
  ProcessDetail process{};
  size_t name_begin = stat.find('('), name_end = stat.rfind(')');
  if (name_begin == stat.npos || name_end == stat.npos || name_end < name_begin) return std::nullopt;
  std::string_view pid = stat.substr(0, name_begin);
  if (!to_number(next_word(pid), process.pid)) return std::nullopt;
  process.name = stat.substr(name_begin + 1, name_end - name_begin - 1);
  stat.remove_prefix(name_end + 1);
  std::string_view state = next_word(stat);
  if (state.size() != 1) return std::nullopt;
  process.state = state[0];
  uint64_t user = 0, system = 0;
  for (int field = 4; field <= 24; field++) {
    std::string_view word = next_word(stat);
    bool good = !word.empty();
    if (field == 4) good = to_number(word, process.parent);
    if (field == 14) good = to_number(word, user);
    if (field == 15) good = to_number(word, system);
    if (field == 20) good = to_number(word, process.threads);
    if (field == 24) good = to_number(word, process.resident);
    if (!good) return std::nullopt;
  }
  process.ticks = user + system;
  return process;
}

std::string command_text(std::string_view cmdline) {
  while (cmdline.ends_with('\0')) cmdline.remove_suffix(1);
  std::string text(cmdline);
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

std::string process_list_json(Users& users) {
  JsonWriter json;
  json.begin_object();
  json.key("processes").begin_array();
  uint64_t total = 0;
  Names names(users);
  DIR* directory = opendir("/proc");
  while (dirent* entry = directory == nullptr ? nullptr : readdir(directory)) {
    if (!parse_id(entry->d_name)) continue;
    UniqueFd own(openat(dirfd(directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    char stat_text[1024], cmdline[kMaxCommand];
    struct stat status;
    // One that ends in the middle of this is not listed.
    if (!own || fstat(own.get(), &status) != 0) continue;
    std::optional<ProcessDetail> process = parse_detail(read_at(own.get(), "stat", stat_text, sizeof(stat_text)));
    if (!process) continue;
    total++;
    if (json.text().size() > kRoom) continue;
    std::string command = command_text(read_at(own.get(), "cmdline", cmdline, sizeof(cmdline)));
    if (command.empty()) command = "[" + std::string(process->name) + "]";
    write_process(json, *process, status.st_uid, names.of(status.st_uid), command);
  }
  if (directory != nullptr) closedir(directory);
  json.end_array();
  json.key("total").integer(total);
  json.end_object();
  return json.text();
}

}  // namespace plybox

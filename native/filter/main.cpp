// plyfilter: compiles system call rules to the BPF program that the kernel takes, by libseccomp. Which rules is decided
// elsewhere (src/seccomp/): it reads them from standard input, one a line, and writes the program's bytes.
//
//   default ACTION                      of a call that no rule is about
//   rule ACTION NAME[=NUMBER] ARG...    NUMBER where the library does not know the name
//
//   ACTION  allow | log | trap | kill-process | kill-thread | errno:N
//   ARG     INDEX:OPERATION:VALUE[:VALUE]  OPERATION  eq ne lt le ge gt, masked-eq with the mask first
//
// Calls of any other architecture than this program's own kill the process, those of x32 among them.
#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Words = std::vector<std::string_view>;

Words split(std::string_view text, char separator) {
  Words words;
  while (!text.empty()) {
    size_t end = std::min(text.find(separator), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

template <typename Number>
bool parse(std::string_view text, Number& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_action(std::string_view text, uint32_t& action) {
  constexpr std::string_view kErrno = "errno:";
  uint16_t number;
  if (text.starts_with(kErrno)) {
    if (!parse(text.substr(kErrno.size()), number)) return false;
    action = SCMP_ACT_ERRNO(number);
    return true;
  }
  struct {
    std::string_view name;
    uint32_t action;
  } constexpr kActions[] = {{"allow", SCMP_ACT_ALLOW},
                            {"log", SCMP_ACT_LOG},
                            {"trap", SCMP_ACT_TRAP},
                            {"kill-process", SCMP_ACT_KILL_PROCESS},
                            {"kill-thread", SCMP_ACT_KILL_THREAD}};
  for (const auto& entry : kActions) {
    if (entry.name != text) continue;
    action = entry.action;
    return true;
  }
  return false;
}

bool parse_argument(std::string_view text, scmp_arg_cmp& argument) {
  struct {
    std::string_view name;
    scmp_compare operation;
  } constexpr kOperations[] = {{"eq", SCMP_CMP_EQ},
                               {"ne", SCMP_CMP_NE},
                               {"lt", SCMP_CMP_LT},
                               {"le", SCMP_CMP_LE},
                               {"ge", SCMP_CMP_GE},
                               {"gt", SCMP_CMP_GT},
                               {"masked-eq", SCMP_CMP_MASKED_EQ}};
  Words words = split(text, ':');
  argument = {};
  if (words.size() < 3 || words.size() > 4 || !parse(words[0], argument.arg) || argument.arg > 5) return false;
  for (const auto& entry : kOperations)
    if (entry.name == words[1]) argument.op = entry.operation;
  if (argument.op == 0 || (argument.op == SCMP_CMP_MASKED_EQ) != (words.size() == 4)) return false;
  return parse(words[2], argument.datum_a) && (words.size() == 3 || parse(words[3], argument.datum_b));
}

class Compiler {
 public:
  Compiler() = default;
  Compiler(const Compiler&) = delete;
  Compiler& operator=(const Compiler&) = delete;
  ~Compiler() { seccomp_release(filter_); }

  // Answers what is wrong with the line, or "".
  std::string add(std::string_view line) {
    Words words = split(line, ' ');
    uint32_t action;
    if (words.size() < 2 || !parse_action(words[1], action)) return "not understood";
    if (words[0] == "default" && words.size() == 2) return begin(action);
    if (words[0] != "rule" || words.size() < 3) return "not understood";
    if (filter_ == nullptr) return "comes before the default";
    return add_rule(action, words);
  }

  std::string write_to(int fd) {
    if (filter_ == nullptr) return "there is no default";
    int error = seccomp_export_bpf(filter_, fd);
    return error == 0 ? "" : std::string("cannot be written: ") + strerror(-error);
  }

 private:
  std::string begin(uint32_t action) {
    if (filter_ != nullptr) return "is the second default";
    default_ = action;
    filter_ = seccomp_init(action);
    if (filter_ == nullptr) return "cannot be the default";
    seccomp_attr_set(filter_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    // A tree instead of a list: a tenth of the steps for a call, and a third of the time to load.
    seccomp_attr_set(filter_, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return "";
  }

  std::string add_rule(uint32_t action, const Words& words) {
    if (action == default_) return "";
    Words named = split(words[2], '=');
    int number = seccomp_syscall_resolve_name(std::string(named[0]).c_str());
    bool unknown = number == __NR_SCMP_ERROR;
    if (unknown && named.size() == 2 && parse(named[1], number)) unknown = false;
    if (unknown || number < 0) {
      // What another architecture has, or nobody: it gets the default, which must not let it through where the rule
      // would not.
      bool lets_through = default_ == SCMP_ACT_ALLOW || default_ == SCMP_ACT_LOG;
      return lets_through && unknown ? "names a call that is not known here" : "";
    }
    std::vector<scmp_arg_cmp> arguments;
    for (size_t i = 3; i < words.size(); i++)
      if (!parse_argument(words[i], arguments.emplace_back())) return "has an argument that is not understood";
    int error = seccomp_rule_add_exact_array(filter_, action, number, static_cast<unsigned>(arguments.size()),
                                             arguments.data());
    // A rule that says what another has said.
    if (error == 0 || error == -EEXIST) return "";
    return std::string("cannot be added: ") + strerror(-error);
  }

  scmp_filter_ctx filter_ = nullptr;
  uint32_t default_ = 0;
};

int complain(std::string_view line, const std::string& problem) {
  fprintf(stderr, "%.*s: %s\n", static_cast<int>(line.size()), line.data(), problem.c_str());
  return 1;
}

std::string read_all(int fd) {
  std::string text;
  char part[65536];
  for (ssize_t count; (count = read(fd, part, sizeof(part))) > 0;) text.append(part, static_cast<size_t>(count));
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--version") == 0) return puts("plyfilter " PLYBOX_VERSION) < 0;
  std::string text = read_all(0);
  Compiler compiler;
  for (std::string_view line : split(text, '\n'))
    if (std::string problem = compiler.add(line); !problem.empty()) return complain(line, problem);
  if (std::string problem = compiler.write_to(1); !problem.empty()) return complain("the filter", problem);
  return 0;
}

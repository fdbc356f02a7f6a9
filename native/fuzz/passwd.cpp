// The readers of /etc/passwd, /etc/group and /proc/PID/stat, all of which the sandbox can shape. The input's first line
// is the user that is asked for; the rest stands for the files.
#include <cstdlib>

#include "agent/limit-events.h"
#include "agent/passwd.h"
#include "agent/processes.h"
#include "agent/users.h"

using namespace plybox;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string_view spec = text.substr(0, text.find('\n'));
  std::string_view file = text.substr(std::min(text.size(), spec.size() + 1));
  std::variant<Account, Refusal> found = resolve_user(spec, file, file);
  if (const Account* account = std::get_if<Account>(&found)) {
    if (account->uid == UINT32_MAX || account->gid == UINT32_MAX) std::abort();
    if (account->home.empty() || account->shell.empty()) std::abort();
    for (uint32_t group : account->groups) {
      if (group == UINT32_MAX) std::abort();
    }
  }
  parse_stat(file);
  parse_oom_kills(file);
  return 0;
}

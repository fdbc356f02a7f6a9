#include "agent/environment.h"

#include <algorithm>
#include <cstring>

namespace plybox {

std::vector<std::string> build_environment(const Account& account, bool terminal, char* const* sandbox,
                                           const Variables& command) {
  Variables all = {
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", account.home},
      {"USER", account.name},
      {"LOGNAME", account.name},
      {"SHELL", account.shell},
      {"LANG", "C.UTF-8"},
  };
  if (terminal) all.emplace_back("TERM", "xterm-256color");
  for (; *sandbox != nullptr; sandbox++) {
    const char* equals = std::strchr(*sandbox, '=');
    if (equals != nullptr) all.emplace_back(std::string_view(*sandbox, equals - *sandbox), equals + 1);
  }
  all.insert(all.end(), command.begin(), command.end());

  // Of one name the last wins; sorted, so that thousands of variables cost no square of it.
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> environment;
  environment.reserve(all.size());
  for (size_t i = 0; i < all.size(); i++) {
    if (i + 1 < all.size() && all[i + 1].first == all[i].first) continue;
    std::string& entry = environment.emplace_back();
    entry.reserve(all[i].first.size() + 1 + all[i].second.size());
    entry.append(all[i].first).append("=").append(all[i].second);
  }
  return environment;
}

std::string_view environment_value(const std::vector<std::string>& environment, std::string_view name) {
  for (std::string_view entry : environment) {
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return {};
}

}  // namespace plybox

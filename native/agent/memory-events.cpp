#include "agent/memory-events.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>

namespace plybox {

MemoryEvents::MemoryEvents(const UniqueFd& cgroup, int version) {
  if (!cgroup) return;
  const char* file = version == 1 ? "memory.oom_control" : "memory.events.local";
  file_ = UniqueFd(openat(cgroup.get(), file, O_RDONLY | O_CLOEXEC));
}

uint64_t MemoryEvents::kills() const {
  if (!file_) return 0;
  char text[512];
  ssize_t count = pread(file_.get(), text, sizeof(text), 0);
  return count <= 0 ? 0 : parse_oom_kills({text, static_cast<size_t>(count)});
}

uint64_t parse_oom_kills(std::string_view text) {
  constexpr std::string_view kName = "oom_kill ";
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(kName)) continue;
    line.remove_prefix(kName.size());
    uint64_t kills = 0;
    std::from_chars(line.data(), line.data() + line.size(), kills);
    return kills;
  }
  return 0;
}

}  // namespace plybox

#include "agent/limit-events.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>

namespace plybox {
namespace {

// The number in the line `name N`; 0 where there is none.
uint64_t count_of(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!line.starts_with(name) || line.size() == name.size() || line[name.size()] != ' ') continue;
    line.remove_prefix(name.size() + 1);
    uint64_t count = 0;
    std::from_chars(line.data(), line.data() + line.size(), count);
    return count;
  }
  return 0;
}

uint64_t read_count(const UniqueFd& file, std::string_view name) {
  if (!file) return 0;
  char text[512];
  ssize_t count = pread(file.get(), text, sizeof(text), 0);
  return count <= 0 ? 0 : count_of({text, static_cast<size_t>(count)}, name);
}

}  // namespace

MemoryEvents::MemoryEvents(const UniqueFd& cgroup, int version) {
  if (!cgroup) return;
  const char* file = version == 1 ? "memory.oom_control" : "memory.events.local";
  file_ = UniqueFd(openat(cgroup.get(), file, O_RDONLY | O_CLOEXEC));
}

uint64_t MemoryEvents::kills() const { return read_count(file_, "oom_kill"); }

PidsEvents::PidsEvents(const UniqueFd& cgroup, int version) {
  if (!cgroup || version == 1) return;
  // Since Linux 6.11 the other file counts what the limits of commands refuse as well; before, there is no other.
  file_ = UniqueFd(openat(cgroup.get(), "pids.events.local", O_RDONLY | O_CLOEXEC));
  if (!file_) file_ = UniqueFd(openat(cgroup.get(), "pids.events", O_RDONLY | O_CLOEXEC));
}

uint64_t PidsEvents::refused_forks() const { return read_refused_forks(file_); }

uint64_t parse_oom_kills(std::string_view text) { return count_of(text, "oom_kill"); }

uint64_t read_refused_forks(const UniqueFd& file) { return read_count(file, "max"); }

}  // namespace plybox

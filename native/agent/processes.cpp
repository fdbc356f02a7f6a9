#include "agent/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>

#include "agent/passwd.h"
#include "common/unique-fd.h"

namespace plybox {
namespace {

template <typename Number>
bool take_number(std::string_view& text, Number& number) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool is_one_of(const std::vector<Process>& list, const Process& process) {
  return std::any_of(list.begin(), list.end(), [&](const Process& other) {
    return other.pid == process.pid && other.start_time == process.start_time;
  });
}

// Adds children of what is marked until there are none to add.
template <typename IsRoot>
std::vector<Process> closure(const std::vector<Process>& all, IsRoot is_root) {
  std::vector<Process> members;
  std::vector<bool> marked(all.size());
  std::vector<pid_t> pids;  // sorted
  for (bool grown = true; grown;) {
    grown = false;
    for (size_t i = 0; i < all.size(); i++) {
      if (marked[i] || !(is_root(all[i]) || std::binary_search(pids.begin(), pids.end(), all[i].parent))) continue;
      marked[i] = grown = true;
      pids.insert(std::lower_bound(pids.begin(), pids.end(), all[i].pid), all[i].pid);
      if (!all[i].ended) members.push_back(all[i]);
    }
  }
  return members;
}

}  // namespace

// pid (name) state ppid pgrp session tty tpgid flags minflt … utime, stime, cutime and cstime as fields 14 to 17,
// num_threads as field 20, starttime as field 22
std::optional<Process> parse_stat(std::string_view text) {
  Process process{};
  size_t name_end = text.rfind(')');
  if (name_end == text.npos || !take_number(text, process.pid)) return std::nullopt;
  text.remove_prefix(text.rfind(')') + 1);
  while (text.starts_with(' ')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  process.ended = text[0] == 'Z' || text[0] == 'X';
  text.remove_prefix(1);
  if (!take_number(text, process.parent) || !take_number(text, process.group) || !take_number(text, process.session)) {
    return std::nullopt;
  }
  int64_t skipped = 0;
  for (int field = 7; field < 22; field++) {
    if (!take_number(text, skipped)) return std::nullopt;
    if (field >= 14 && field <= 17) process.ticks += static_cast<uint64_t>(std::max<int64_t>(skipped, 0));
    // The state is the main thread's: others may go on after it, or still hold descriptors while they are ended.
    if (field == 20 && skipped > 1) process.ended = false;
  }
  if (!take_number(text, process.start_time)) return std::nullopt;
  return process;
}

std::optional<Process> read_process(pid_t pid) {
  char path[64], text[1024];
  std::snprintf(path, sizeof(path), "/proc/%d/stat", pid);
  UniqueFd fd(open(path, O_RDONLY | O_CLOEXEC));
  ssize_t count = fd ? read(fd.get(), text, sizeof(text)) : -1;
  if (count <= 0) return std::nullopt;
  return parse_stat({text, static_cast<size_t>(count)});
}

std::vector<Process> list_processes() {
  std::vector<Process> all;
  DIR* directory = opendir("/proc");
  if (directory == nullptr) return all;
  while (dirent* entry = readdir(directory)) {
    if (!parse_id(entry->d_name)) continue;
    char path[64], text[1024];
    std::snprintf(path, sizeof(path), "%.16s/stat", entry->d_name);
    UniqueFd fd(openat(dirfd(directory), path, O_RDONLY | O_CLOEXEC));
    ssize_t count = fd ? read(fd.get(), text, sizeof(text)) : -1;
    if (count <= 0) continue;
    if (std::optional<Process> process = parse_stat({text, static_cast<size_t>(count)})) all.push_back(*process);
  }
  closedir(directory);
  return all;
}

std::vector<Process> relatives(const std::vector<Process>& all, pid_t leader, const std::vector<Process>& known) {
  return closure(all, [&](const Process& process) {
    return process.pid == leader || process.group == leader || process.session == leader || is_one_of(known, process);
  });
}

std::vector<Process> descendants(const std::vector<Process>& all, pid_t ancestor) {
  return closure(all, [&](const Process& process) { return process.parent == ancestor; });
}

}  // namespace plybox

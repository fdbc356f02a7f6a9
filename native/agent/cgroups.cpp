#include "agent/cgroups.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "agent/limit-events.h"

namespace plybox {
namespace {

constexpr const char* kAgentCgroup = "agent";

}  // namespace

UniqueFd CommandCgroups::open(const CommandCgroup& cgroup, const char* file, int flags) const {
  return UniqueFd(openat(parent_.get(), (cgroup.name() + "/" + file).c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
}

bool CommandCgroups::write(const CommandCgroup& cgroup, const char* file, const char* text) const {
  UniqueFd fd = open(cgroup, file, O_WRONLY);
  return fd && ::write(fd.get(), text, std::strlen(text)) >= 0;
}

std::string_view CommandCgroups::read(const CommandCgroup& cgroup, const char* file, std::span<char> room) const {
  UniqueFd fd = open(cgroup, file, O_RDONLY);
  ssize_t count = fd ? ::read(fd.get(), room.data(), room.size()) : -1;
  return {room.data(), count < 0 ? 0 : static_cast<size_t>(count)};
}

std::unique_ptr<CommandCgroup> CommandCgroups::make() {
  errno = ENOSPC;
  if (!available() || count_ >= most_.all) return nullptr;
  std::string name;
  // A predecessor's directories may still be there.
  do {
    name = "exec-" + std::to_string(++made_);
    errno = 0;
  } while (mkdirat(parent_.get(), name.c_str(), 0755) != 0 && errno == EEXIST);
  if (errno != 0) return nullptr;
  auto cgroup = std::make_unique<CommandCgroup>(version_, std::move(name), UniqueFd());
  cgroup->door_ = version_ == 1 ? open(*cgroup, "tasks", O_WRONLY) : open(*cgroup, ".", O_PATH | O_DIRECTORY);
  if (cgroup->door_) {
    works_ = true;
    count_++;
    return cgroup;
  }
  int error = errno;
  unlinkat(parent_.get(), cgroup->name().c_str(), AT_REMOVEDIR);
  errno = error;
  return nullptr;
}

std::unique_ptr<CommandCgroup> CommandCgroups::take(bool unused) {
  if (unused || spare_.empty()) return make();
  std::unique_ptr<CommandCgroup> cgroup = std::move(spare_.back());
  spare_.pop_back();
  return cgroup;
}

void CommandCgroups::give_back(std::unique_ptr<CommandCgroup> cgroup) {
  bool again = !cgroup->spent_ && spare_.size() < most_.spare;
  if (again) cgroup->refused_before_ += refused_forks(*cgroup);
  (again ? spare_ : doomed_).push_back(std::move(cgroup));
}

void CommandCgroups::tidy() {
  // One whose last process is still on its way out is busy for a moment longer, and is tried again.
  count_ -= std::erase_if(doomed_, [this](const std::unique_ptr<CommandCgroup>& cgroup) {
    return unlinkat(parent_.get(), cgroup->name().c_str(), AT_REMOVEDIR) == 0 || errno != EBUSY;
  });
  if (!spare_.empty() || most_.spare == 0) return;
  if (std::unique_ptr<CommandCgroup> cgroup = make()) spare_.push_back(std::move(cgroup));
}

std::vector<pid_t> CommandCgroups::members(const CommandCgroup& cgroup) const { return members(cgroup.name()); }

std::vector<pid_t> CommandCgroups::members(const std::string& name) const {
  std::vector<pid_t> pids;
  // Opened anew each time: version 1 answers a second read of one open file from the first one's list.
  UniqueFd fd(openat(parent_.get(), (name + "/cgroup.procs").c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return pids;
  char text[4096];
  size_t kept = 0;
  for (;;) {
    ssize_t count = ::read(fd.get(), text + kept, sizeof(text) - kept);
    if (count <= 0) break;
    size_t end = kept + static_cast<size_t>(count), start = 0;
    for (size_t i = kept; i < end; i++) {
      if (text[i] != '\n') continue;
      pid_t pid = 0;
      std::from_chars(text + start, text + i, pid);
      // 0 is a process of outside, which the kernel will not name here.
      if (pid > 0) pids.push_back(pid);
      start = i + 1;
    }
    kept = end - start;
    std::memmove(text, text + start, kept);
  }
  return pids;
}

bool CommandCgroups::has_controller(std::string_view controller) const {
  UniqueFd fd(openat(parent_.get(), "cgroup.controllers", O_RDONLY | O_CLOEXEC));
  char text[256];
  ssize_t count = fd ? ::read(fd.get(), text, sizeof(text)) : -1;
  std::string_view words(text, count < 0 ? 0 : static_cast<size_t>(count));
  while (!words.empty()) {
    size_t length = std::min(words.find_first_of(" \n"), words.size());
    if (words.substr(0, length) == controller) return true;
    words.remove_prefix(std::min(length + 1, words.size()));
  }
  errno = ENOENT;
  return false;
}

// Version 2 lets a cgroup hand controllers on only where it holds no process itself: the agent, and what it has started
// that is no command's, go into a child beside the commands'.
bool CommandCgroups::clear_parent() {
  if (mkdirat(parent_.get(), kAgentCgroup, 0755) != 0 && errno != EEXIST) return false;
  std::string procs = std::string(kAgentCgroup) + "/cgroup.procs";
  // What was being started during one pass is seen in the next.
  constexpr int kPasses = 8;
  for (int pass = 0; pass < kPasses; pass++) {
    std::vector<pid_t> pids = members(".");
    if (pids.empty()) return true;
    for (pid_t pid : pids) {
      UniqueFd fd(openat(parent_.get(), procs.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
      std::string text = std::to_string(pid);
      if (!fd) return false;
      // One that has ended meanwhile needs no place.
      if (::write(fd.get(), text.data(), text.size()) < 0 && errno != ESRCH) return false;
    }
  }
  errno = EBUSY;
  return false;
}

// On version 2 the children of a cgroup have the controllers that it hands on to them. Not before a command needs it:
// then every child has the controller, and the kernel takes ten times as long to make one that counts memory.
bool CommandCgroups::hand_on(const char* controller, bool& handed_on) {
  if (version_ == 1 || handed_on) return true;
  if (!has_controller(controller) || !clear_parent()) return false;
  UniqueFd fd(openat(parent_.get(), "cgroup.subtree_control", O_WRONLY | O_CLOEXEC));
  std::string enable = std::string("+") + controller;
  handed_on = fd && ::write(fd.get(), enable.data(), enable.size()) > 0;
  return handed_on;
}

bool CommandCgroups::limit_pids(CommandCgroup& cgroup, uint64_t most) {
  cgroup.spent_ = true;
  return hand_on("pids", hands_on_pids_) && write(cgroup, "pids.max", std::to_string(most).c_str());
}

bool CommandCgroups::hold_pids(CommandCgroup& cgroup) {
  cgroup.spent_ = true;
  if (!hand_on("pids", hands_on_pids_)) return false;
  char text[32];
  std::string present(read(cgroup, "pids.current", text));
  return !present.empty() && write(cgroup, "pids.max", present.c_str());
}

bool CommandCgroups::release_pids(const CommandCgroup& cgroup) { return write(cgroup, "pids.max", "max"); }

uint64_t CommandCgroups::refused_forks(CommandCgroup& cgroup) const {
  if (!cgroup.pids_events_) cgroup.pids_events_ = open(cgroup, "pids.events", O_RDONLY);
  uint64_t refused = read_refused_forks(cgroup.pids_events_);
  return refused - std::min(refused, cgroup.refused_before_);
}

bool CommandCgroups::limit_memory(CommandCgroup& cgroup, uint64_t most_bytes) {
  cgroup.spent_ = true;
  if (!hand_on("memory", hands_on_memory_)) return false;
  std::string limit = std::to_string(most_bytes);
  if (!write(cgroup, version_ == 1 ? "memory.limit_in_bytes" : "memory.max", limit.c_str())) return false;
  // Neither file is there where the kernel does not count swap. Version 1 counts memory and swap together.
  bool no_swap = version_ == 1 ? write(cgroup, "memory.memsw.limit_in_bytes", limit.c_str())
                               : write(cgroup, "memory.swap.max", "0");
  return no_swap || errno == ENOENT;
}

uint64_t CommandCgroups::memory_kills(const CommandCgroup& cgroup) const {
  char text[256];
  return parse_oom_kills(read(cgroup, version_ == 1 ? "memory.oom_control" : "memory.events", text));
}

std::optional<uint64_t> CommandCgroups::peak_memory_bytes(const CommandCgroup& cgroup) const {
  char text[32];
  std::string_view peak = read(cgroup, version_ == 1 ? "memory.max_usage_in_bytes" : "memory.peak", text);
  if (peak.empty()) return std::nullopt;
  uint64_t bytes = 0;
  std::from_chars(peak.data(), peak.data() + peak.size(), bytes);
  return bytes;
}

// A cgroup that has been killed is spent: in version 1 it refuses forks from then on, and in version 2 Linux since 6.14
// kills whatever CLONE_INTO_CGROUP puts into it later.
void CommandCgroups::kill_all(CommandCgroup& cgroup) {
  cgroup.spent_ = true;
  if (cgroup.version() == 2 && write(cgroup, "cgroup.kill", "1")) return;
  // Where the hierarchy counts processes, a limit of none stops a fork bomb from outrunning the sweep.
  bool no_forks = write(cgroup, "pids.max", "0");
  constexpr int kPasses = 8;
  for (int pass = 0; pass < (no_forks ? 1 : kPasses); pass++) {
    std::vector<pid_t> pids = members(cgroup);
    if (pids.empty()) return;
    for (pid_t pid : pids) kill(pid, SIGKILL);
  }
}

}  // namespace plybox

#include "agent/cgroups.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <cstring>

namespace plybox {
namespace {

// Used again one after the other, so that commands in a row make and remove no directories.
constexpr size_t kMaxSpare = 4;

}  // namespace

UniqueFd CommandCgroups::open(const CommandCgroup& cgroup, const char* file, int flags) const {
  return UniqueFd(openat(parent_.get(), (cgroup.name() + "/" + file).c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
}

bool CommandCgroups::write(const CommandCgroup& cgroup, const char* file, const char* text) const {
  UniqueFd fd = open(cgroup, file, O_WRONLY);
  return fd && ::write(fd.get(), text, std::strlen(text)) >= 0;
}

std::unique_ptr<CommandCgroup> CommandCgroups::make() {
  if (!available()) return nullptr;
  std::string name;
  // A predecessor's directories may still be there.
  do {
    name = "exec-" + std::to_string(++made_);
  } while (mkdirat(parent_.get(), name.c_str(), 0755) != 0 && errno == EEXIST);
  auto cgroup = std::make_unique<CommandCgroup>(version_, std::move(name), UniqueFd());
  cgroup->door_ = version_ == 1 ? open(*cgroup, "tasks", O_WRONLY) : open(*cgroup, ".", O_PATH | O_DIRECTORY);
  if (cgroup->door_) {
    works_ = true;
    return cgroup;
  }
  unlinkat(parent_.get(), cgroup->name().c_str(), AT_REMOVEDIR);
  return nullptr;
}

std::unique_ptr<CommandCgroup> CommandCgroups::take() {
  if (spare_.empty()) return make();
  std::unique_ptr<CommandCgroup> cgroup = std::move(spare_.back());
  spare_.pop_back();
  return cgroup;
}

void CommandCgroups::give_back(std::unique_ptr<CommandCgroup> cgroup) {
  bool again = !cgroup->spent_ && spare_.size() < kMaxSpare;
  (again ? spare_ : doomed_).push_back(std::move(cgroup));
}

void CommandCgroups::tidy() {
  // One whose last process is still on its way out is busy for a moment longer, and is tried again.
  std::erase_if(doomed_, [this](const std::unique_ptr<CommandCgroup>& cgroup) {
    return unlinkat(parent_.get(), cgroup->name().c_str(), AT_REMOVEDIR) == 0 || errno != EBUSY;
  });
  if (!spare_.empty()) return;
  if (std::unique_ptr<CommandCgroup> cgroup = make()) spare_.push_back(std::move(cgroup));
}

std::vector<pid_t> CommandCgroups::members(const CommandCgroup& cgroup) const {
  std::vector<pid_t> pids;
  // Opened anew each time: version 1 answers a second read of one open file from the first one's list.
  UniqueFd fd = open(cgroup, "cgroup.procs", O_RDONLY);
  if (!fd) return pids;
  char text[4096];
  size_t kept = 0;
  for (;;) {
    ssize_t count = read(fd.get(), text + kept, sizeof(text) - kept);
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

bool CommandCgroups::limit_pids(CommandCgroup& cgroup, uint64_t most) {
  cgroup.spent_ = true;
  return write(cgroup, "pids.max", std::to_string(most).c_str());
}

uint64_t CommandCgroups::refused_forks(const CommandCgroup& cgroup) const {
  UniqueFd fd = open(cgroup, "pids.events", O_RDONLY);
  char text[128];
  ssize_t count = fd ? read(fd.get(), text, sizeof(text)) : -1;
  constexpr std::string_view kName = "max ";
  if (count <= 0 || !std::string_view(text, static_cast<size_t>(count)).starts_with(kName)) return 0;
  uint64_t refused = 0;
  std::from_chars(text + kName.size(), text + count, refused);
  return refused;
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

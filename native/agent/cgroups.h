// One child cgroup a command, so that everything that the command started can be found and killed, whatever it did to
// its group, session and parents; and on version 1, where memory has a hierarchy of its own, a second one there for
// each command that has a memory limit.
#pragma once
#include <sys/types.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/unique-fd.h"

namespace plybox {

// A child cgroup. Its directory is removed by CommandCgroups alone.
class CommandCgroup {
 public:
  CommandCgroup(int version, std::string name, UniqueFd door)
      : version_(version), name_(std::move(name)), door_(std::move(door)) {}

  // Version 1: the open `tasks` file, to which the new process writes "0": joining one thread of itself takes none of
  // the kernel's global locks, which cgroup.procs takes. Version 2: the directory, for CLONE_INTO_CGROUP.
  int door() const { return door_.get(); }
  int version() const { return version_; }
  const std::string& name() const { return name_; }

 private:
  friend class CommandCgroups;
  int version_;
  std::string name_;
  UniqueFd door_;
  UniqueFd pids_events_;         // opened when it is first read
  uint64_t refused_before_ = 0;  // of the commands that had it before
  bool spent_ = false;           // has been killed: not to be used again
};

// How many cgroups there may be below one.
struct CgroupCounts {
  size_t spare;  // empty ones, kept for the commands to come
  size_t all;
};

class CommandCgroups {
 public:
  // `parent` is the directory below which they are made; without one, take() answers null.
  CommandCgroups(UniqueFd parent, int version, CgroupCounts most)
      : parent_(std::move(parent)), version_(version), most_(most) {}

  bool available() const { return static_cast<bool>(parent_); }
  // Whether one could be made; known from the first tidy() on.
  bool works() const { return works_; }
  // An empty cgroup; null where none can be made, for which errno then has the reason.
  // `unused`: that no command has been in before, so that what it has counted is the next one's alone.
  std::unique_ptr<CommandCgroup> take(bool unused = false);
  // Of a command of which nothing lives any more.
  void give_back(std::unique_ptr<CommandCgroup> cgroup);
  bool has_spare() const { return !spare_.empty(); }
  bool has_doomed() const { return !doomed_.empty(); }
  // Off the path of a request: sees to it that one empty cgroup is ready where some are kept, and removes those that
  // are not used again.
  void tidy();

  // Whether no process lives in it, as far as can be seen.
  bool empty(const CommandCgroup& cgroup) const { return members(cgroup).empty(); }
  std::vector<pid_t> members(const CommandCgroup& cgroup) const;
  // Lets so many tasks live in it at once. Answers false where the kernel does not count them here. It is not used
  // again.
  bool limit_pids(CommandCgroup& cgroup, uint64_t most);
  // Lets no more tasks live in it than live now, until they are released again. Answers false as limit_pids() does.
  bool hold_pids(CommandCgroup& cgroup);
  bool release_pids(const CommandCgroup& cgroup);
  // How many forks the kernel has refused its processes since it was taken: on version 1 for whatever limit of
  // processes, on version 2 for its own.
  uint64_t refused_forks(CommandCgroup& cgroup) const;
  // Lets it hold so much memory, and no swap beside it. Answers false, with errno, where the kernel does not. What was
  // written into files in memory counts there for good, so it is not used again.
  bool limit_memory(CommandCgroup& cgroup, uint64_t most_bytes);
  // Whether memory is counted by command here.
  bool counts_memory() const { return version_ == 1 || hands_on_memory_; }
  // How often the kernel has killed in it for want of memory, its own or that of what is above it.
  uint64_t memory_kills(const CommandCgroup& cgroup) const;
  // The most memory that it has held, what the kernel keeps for it and its share of the page cache included. Version 2
  // tells since Linux 5.19.
  std::optional<uint64_t> peak_memory_bytes(const CommandCgroup& cgroup) const;
  // One sweep: kills everything in it and refuses new forks where the kernel can. To be repeated until it is empty.
  void kill_all(CommandCgroup& cgroup);

 private:
  std::unique_ptr<CommandCgroup> make();
  bool write(const CommandCgroup& cgroup, const char* file, const char* text) const;
  // As much of the file as there is room for; nothing where it cannot be read.
  std::string_view read(const CommandCgroup& cgroup, const char* file, std::span<char> room) const;
  // Pids of the cgroup of this name; "." is the parent itself.
  std::vector<pid_t> members(const std::string& name) const;
  // These answer false, with errno, where they cannot.
  bool has_controller(std::string_view controller) const;
  bool clear_parent();
  bool hand_on(const char* controller, bool& handed_on);
  UniqueFd open(const CommandCgroup& cgroup, const char* file, int flags) const;

  UniqueFd parent_;
  int version_;
  CgroupCounts most_;
  size_t count_ = 0;
  unsigned made_ = 0;
  bool works_ = false;
  bool hands_on_memory_ = false;
  bool hands_on_pids_ = false;
  std::vector<std::unique_ptr<CommandCgroup>> spare_;
  std::vector<std::unique_ptr<CommandCgroup>> doomed_;  // to be removed
};

}  // namespace plybox

#include "launcher/cgroup.h"

#include <dirent.h>
#include <errno.h>

#include "common/syscalls.h"

namespace plybox {
namespace {

Failure failed() { return Failure::here("cgroup"); }

Result<> write_file(int directory, const char* name, const std::string& value) {
  UniqueFd fd(openat(directory, name, O_WRONLY | O_CLOEXEC));
  if (!fd || write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) return failed();
  return {};
}

Result<UniqueFd> make_directory(int parent, const char* path) {
  if (mkdirat(parent, path, 0755) != 0 && errno != EEXIST) return failed();
  UniqueFd fd(openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) return failed();
  return fd;
}

// What a user who is not root needs in order to make cgroups below and to move its own processes into them. The limits
// of the cgroup itself stay root's.
Result<> delegate(int directory, int version, uint32_t owner) {
  if (fchown(directory, owner, owner) != 0) return failed();
  if (version == 1) return {};
  for (const char* file : {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"})
    if (fchownat(directory, file, owner, owner, 0) != 0) return failed();
  return {};
}

// The agent of an earlier start may have handed controllers on to its commands, and a cgroup that does holds no
// process. What is refused here, the clone into it tells.
void take_controllers_back(int directory) {
  for (const char* controller : {"-memory", "-pids"}) (void)write_file(directory, "cgroup.subtree_control", controller);
}

Result<> make_one(const CgroupPlan& plan, uint32_t owner, JoinedCgroups& joined) {
  bool made_before = access(plan.path.c_str(), F_OK) == 0;
  Result<UniqueFd> directory = make_directory(AT_FDCWD, plan.path.c_str());
  if (!directory) return directory.failure();
  // On version 1 the agent makes cgroups for memory as well; on version 2 memory is where tracking is.
  if (plan.track || (plan.memory && plan.version == 1))
    if (Result<> delegated = delegate(directory->get(), plan.version, owner); !delegated) return delegated;

  if (plan.version == 2) {
    if (made_before) take_controllers_back(directory->get());
    // The sandbox's cgroup itself, which so becomes the root of its cgroup namespace. Hierarchies are mounted
    // nsdelegate, and what lies beside that root is then closed to the agent; its commands' cgroups lie below it.
    joined.into = directory->get();
  } else {
    UniqueFd tasks(openat(directory->get(), "tasks", O_WRONLY | O_CLOEXEC));
    if (!tasks) return failed();
    joined.tasks.push_back(std::move(tasks));
  }
  if (plan.memory) {
    joined.memory = directory->get();
    joined.memory_version = plan.version;
  }
  if (plan.track) {
    joined.track = directory->get();
    joined.track_version = plan.version;
  }
  joined.directories.push_back(directory.take());
  return {};
}

}  // namespace

Result<JoinedCgroups> make_cgroups(const std::vector<CgroupPlan>& plans, uint32_t owner) {
  JoinedCgroups joined;
  for (const CgroupPlan& plan : plans)
    if (Result<> made = make_one(plan, owner, joined); !made) return made.failure();
  return joined;
}

Result<> set_cgroups(const std::vector<CgroupPlan>& plans, const JoinedCgroups& cgroups) {
  for (size_t i = 0; i < plans.size(); i++)
    for (const auto& [file, value] : plans[i].set)
      if (Result<> written = write_file(cgroups.directories[i].get(), file.c_str(), value); !written) return written;
  return {};
}

Result<> join_cgroups(const JoinedCgroups& cgroups) {
  // `tasks` with "0" moves the writer alone, which spares the kernel the lock that stops every fork on the machine
  // while an RCU grace period passes; `cgroup.procs`, or any other pid, does not.
  for (const UniqueFd& tasks : cgroups.tasks)
    if (write(tasks.get(), "0", 1) != 1) return failed();
  return {};
}

Result<> remove_cgroup(const std::string& path) {
  if (rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return failed();
  Result<> result;
  while (dirent* entry = readdir(directory)) {
    if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
    if (Result<> removed = remove_cgroup(path + "/" + entry->d_name); !removed) result = removed;
  }
  closedir(directory);
  if (!result) return result;
  if (rmdir(path.c_str()) == 0 || errno == ENOENT) return {};
  return failed();
}

}  // namespace plybox

#include "launcher/watch.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#include "common/syscalls.h"
#include "launcher/cgroup.h"
#include "launcher/image.h"
#include "launcher/launch.h"
#include "launcher/plan.h"

namespace plybox {
namespace {

std::vector<std::string> read_paths(JsonObject& request, const char* name) {
  std::vector<std::string> paths;
  for (std::string_view path : request.array(name).strings()) {
    if (!is_normal_path(path) || path == "/") request.refuse(name, "holds a path that is not absolute and normal");
    paths.emplace_back(path);
  }
  return paths;
}

Result<> remove_path(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno == EISDIR || errno == EPERM)
    if (rmdir(path.c_str()) == 0) return {};
  return Failure::here("remove");
}

}  // namespace

Remains read_remains(JsonObject& request, uint32_t channel, bool allow_faults) {
  Remains remains{
      channel, read_paths(request, "cgroups"), read_paths(request, "unmount"), read_paths(request, "remove"), "", {}};
  if (allow_faults) remains.fail_at = request.optional_string("failAt", 64).value_or("");
  return remains;
}

bool unmounts_slowly(const Remains& remains) {
  for (const std::string& path : remains.unmount) {
    struct statfs status;
    if (statfs(path.c_str(), &status) == 0 && status.f_type != TMPFS_MAGIC) return true;
  }
  return false;
}

Result<> clear_mounts(const Remains& remains) {
  Result<> first;
  for (const std::string& path : remains.unmount) {
    Result<> result = remains.fail_at == "unmount" ? Result<>(Failure{"unmount", EIO}) : unmount(path);
    if (!result && first) first = result;
  }
  return first;
}

Result<> clear_remains(const Remains& remains) {
  Result<> first = remains.unmounted;
  auto note = [&first](Result<> result) {
    if (!result && first) first = result;
  };
  auto fails = [&remains](std::string_view step) { return remains.fail_at == step; };
  // Each is tried whatever became of the others; the first failure is reported.
  for (const std::string& path : remains.cgroups)
    note(fails("cgroup") ? Result<>(Failure{"cgroup", EIO}) : remove_cgroup(path));
  note(clear_mounts(remains));
  for (const std::string& path : remains.remove)
    note(fails("remove") ? Result<>(Failure{"remove", EIO}) : remove_path(path));
  return first;
}

Result<UniqueFd> open_process(pid_t pid, uint64_t start_time) {
  UniqueFd pidfd(sys::pidfd_open(pid, 0));
  if (!pidfd) return Failure::here("open-process");
  // Read after the descriptor is there: from then on the pid cannot come to mean another process unnoticed.
  if (process_start_time(pid) != start_time) return Failure{"open-process", ESRCH};
  return pidfd;
}

Ending ending_of(int pidfd) {
  siginfo_t info{};
  constexpr idtype_t kByPidfd = static_cast<idtype_t>(3);
  if (waitid(kByPidfd, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) return {};
  if (info.si_code == CLD_EXITED) return {info.si_status, 0};
  return {-1, info.si_status};
}

}  // namespace plybox

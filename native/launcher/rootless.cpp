#include "launcher/rootless.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <string>
#include <string_view>
#include <vector>

#include "common/errno-name.h"
#include "common/result.h"
#include "common/syscalls.h"
#include "common/unique-fd.h"
#include "launcher/launch.h"
#include "launcher/watch.h"

namespace plybox {
namespace {

// As bubblewrap and the shells have it for what could not even be started.
constexpr int kOwnFailure = 125;

struct SubordinateIds {
  unsigned long first = 0;
  unsigned long count = 0;
};

struct Options {
  SubordinateIds uids;
  SubordinateIds gids;
  const char* newuidmap = nullptr;
  const char* newgidmap = nullptr;
  const char* anchor = nullptr;
  int report = -1;
  char** program = nullptr;

  bool maps_many() const { return uids.count > 0; }
};

bool read_ids(const char* text, SubordinateIds& ids) {
  char* end = nullptr;
  ids.first = strtoul(text, &end, 10);
  if (end == text || *end != ':') return false;
  const char* count = end + 1;
  ids.count = strtoul(count, &end, 10);
  return end != count && *end == '\0' && ids.first > 0 && ids.count > 0 && ids.first + ids.count < UINT32_MAX;
}

bool read_options(int argc, char** argv, Options& options) {
  int i = 0;
  for (; i < argc && strcmp(argv[i], "--") != 0; i += 2) {
    std::string_view name = argv[i];
    if (i + 1 == argc) return false;
    const char* value = argv[i + 1];
    if (name == "--subuids" && read_ids(value, options.uids)) continue;
    if (name == "--subgids" && read_ids(value, options.gids)) continue;
    if (name == "--newuidmap" && value[0] == '/')
      options.newuidmap = value;
    else if (name == "--newgidmap" && value[0] == '/')
      options.newgidmap = value;
    else if (name == "--anchor" && value[0] == '/')
      options.anchor = value;
    else if (name == "--report-fd" && value[0] >= '3' && value[0] <= '9' && value[1] == '\0')
      options.report = value[0] - '0';
    else
      return false;
  }
  if (i + 1 >= argc) return false;
  options.program = argv + i + 1;
  // All four of them, or none.
  bool many = options.maps_many();
  return many == (options.gids.count > 0) && many == (options.newuidmap != nullptr) &&
         many == (options.newgidmap != nullptr);
}

// Who runs this, as the machine has it.
struct Owner {
  uid_t uid;
  gid_t gid;
};

bool write_file(const char* path, const std::string& text) {
  UniqueFd fd(open(path, O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// Runs a program that maps ids of `pid`: itself to 0, and what /etc/subuid or /etc/subgid allots from 1 on.
bool run_mapper(const char* program, pid_t pid, unsigned own, SubordinateIds ids) {
  pid_t mapper = fork();
  if (mapper == 0) {
    std::string process = std::to_string(pid), self = std::to_string(own);
    std::string first = std::to_string(ids.first), count = std::to_string(ids.count);
    const char* const argv[] = {program, process.c_str(), "0",           self.c_str(), "1",
                                "1",     first.c_str(),   count.c_str(), nullptr};
    execv(program, const_cast<char* const*>(argv));
    fprintf(stderr, "plylaunch: %s: %s\n", program, strerror(errno));
    _exit(127);
  }
  int status = 0;
  return mapper > 0 && waitpid(mapper, &status, 0) == mapper && status == 0;
}

// The maps are written by programs that have the machine's word for it, and so from a process outside of the namespace:
// one that was forked before, and waits until there is one.
Result<> enter_with_many_ids(const Options& options, Owner owner) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Failure::here("user-namespace");
  UniqueFd made(ends[0]), tell(ends[1]);
  pid_t self = getpid();
  pid_t outside = fork();
  if (outside == 0) {
    tell.reset();
    char go = 0;
    bool mapped = read(made.get(), &go, 1) == 1 && run_mapper(options.newuidmap, self, owner.uid, options.uids) &&
                  run_mapper(options.newgidmap, self, owner.gid, options.gids);
    _exit(mapped ? 0 : 1);
  }
  if (outside < 0) return Failure::here("user-namespace");
  Failure failure = unshare(CLONE_NEWUSER) == 0 ? Failure{nullptr, 0} : Failure::here("user-namespace");
  if (failure.step == nullptr && write(tell.get(), "", 1) != 1) failure = Failure::here("user-namespace");
  tell.reset();
  int status = 0;
  if (waitpid(outside, &status, 0) != outside || (status != 0 && failure.step == nullptr))
    failure = Failure{"id-maps", EPERM};
  if (failure.step != nullptr) return failure;
  return {};
}

Result<> enter_with_one_id(Owner owner) {
  if (unshare(CLONE_NEWUSER) != 0) return Failure::here("user-namespace");
  auto map = [](unsigned id) { return "0 " + std::to_string(id) + " 1\n"; };
  // Who could drop a group could get at what is kept from its members: the kernel asks to give that up first.
  if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", map(owner.uid)) ||
      !write_file("/proc/self/gid_map", map(owner.gid)))
    return Failure::here("id-maps");
  return {};
}

Result<> make_namespaces(const Options& options) {
  Owner owner{geteuid(), getegid()};
  Result<> entered = options.maps_many() ? enter_with_many_ids(options, owner) : enter_with_one_id(owner);
  if (!entered) return entered;
  // Nothing that is mounted here shows outside; what is mounted outside, such as a stick, goes on to show here.
  if (unshare(CLONE_NEWNS) != 0 || sys::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return Failure::here("mount-namespace");
  return {};
}

// Becomes a process that does nothing, so that the namespaces stay.
[[noreturn]] void hold() {
  setsid();
  prctl(PR_SET_NAME, "plyanchor");
  if (chdir("/") != 0) _exit(1);
  sys::close_range(0, ~0U, 0);
  for (;;) pause();
}

// 32 hexadecimal digits of the machine's present run; empty where the kernel does not say.
std::string boot_id() {
  char text[64];
  UniqueFd file(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  ssize_t length = file ? read(file.get(), text, sizeof(text)) : 0;
  std::string id;
  for (ssize_t i = 0; i < length; i++)
    if (text[i] != '-' && text[i] != '\n') id += text[i];
  return id;
}

// As src/base/process-mark.ts has it. The boot is there because a run directory may outlive the machine's run, and then
// pid and start time may be those of anything.
std::string mark_of(pid_t pid, uint64_t start_time) {
  return std::to_string(pid) + "." + std::to_string(start_time) + "." + boot_id();
}

// Enters the namespaces that `file` names. False: they are not there any more.
Result<bool> join(int file) {
  char text[128] = {};
  if (pread(file, text, sizeof(text) - 1, 0) < 0) return Failure::here("anchor");
  unsigned long long start_time = 0;
  pid_t pid = 0;
  if (sscanf(text, "%d.%llu.", &pid, &start_time) != 2 || pid <= 0) return false;
  if (text != mark_of(pid, start_time) + "\n") return false;
  Result<UniqueFd> process = open_process(pid, start_time);
  if (!process) return false;
  char directory[4096];
  if (getcwd(directory, sizeof(directory)) == nullptr) return Failure::here("directory");
  if (setns(process->get(), CLONE_NEWUSER | CLONE_NEWNS) != 0) return Failure::here("join");
  // A mount namespace is entered at its root.
  if (chdir(directory) != 0) return Failure::here("directory");
  return true;
}

Result<> drop_anchor(int file) {
  pid_t pid = fork();
  if (pid < 0) return Failure::here("anchor");
  if (pid == 0) hold();
  std::string text = mark_of(pid, process_start_time(pid)) + "\n";
  if (ftruncate(file, 0) == 0 && pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()))
    return {};
  Failure failure = Failure::here("anchor");
  kill(pid, SIGKILL);
  return failure;
}

Result<> enter(const Options& options) {
  if (options.anchor == nullptr) return make_namespaces(options);
  UniqueFd file(open(options.anchor, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  // Of two that come at once, the second finds what the first has made.
  if (!file || flock(file.get(), LOCK_EX) != 0) return Failure::here("anchor");
  Result<bool> joined = join(file.get());
  if (!joined) return joined.failure();
  if (*joined) return {};
  if (Result<> made = make_namespaces(options); !made) return made;
  return drop_anchor(file.get());
}

int complain(Failure failure) {
  fprintf(stderr, "plylaunch: %s: %s\n", failure.step, strerror(failure.error));
  return kOwnFailure;
}

}  // namespace

int enter_own_namespace(int argc, char** argv) {
  Options options;
  if (!read_options(argc, argv, options)) {
    fprintf(stderr, "plylaunch: --own-namespace: options that cannot be\n");
    return 2;
  }
  if (options.report >= 0 && fcntl(options.report, F_SETFD, FD_CLOEXEC) != 0) return complain({"report-fd", errno});
  pid_t parent = getppid();
  if (Result<> entered = enter(options); !entered) {
    if (options.report < 0) return complain(entered.failure());
    dprintf(options.report, "%s %s\n", entered.failure().step, errno_name(entered.failure().error));
    return kOwnFailure;
  }
  // Who waits for the program passes signals on, and cannot when it is killed. After the change of ids, which clears
  // it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) return kOwnFailure;
  execvp(options.program[0], options.program);
  fprintf(stderr, "plylaunch: %s: %s\n", options.program[0], strerror(errno));
  return errno == ENOENT ? 127 : 126;
}

}  // namespace plybox

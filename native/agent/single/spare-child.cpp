#include "agent/single/spare-child.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "agent/single/privileges.h"
#include "common/syscalls.h"

namespace plybox::single {
namespace {

constexpr int kControl = 3;

// What goes over the control socket: this with the three standard streams, then the words, each ended by NUL.
struct Order {
  uint64_t bytes;
  uint64_t argv;
  uint64_t candidates;
  uint64_t environment;
  uint64_t cpu_seconds;
  uint64_t data_bytes;
  uint64_t processes;
};

// What comes back where the program could not be entered. The socket closes where it was.
struct Answer {
  char step[24];
  int error;
};

union Rights {
  cmsghdr header;
  char bytes[CMSG_SPACE(3 * sizeof(int))];
};

[[noreturn]] void give_up(Failure failure) {
  Answer answer{};
  std::strncpy(answer.step, failure.step, sizeof(answer.step) - 1);
  answer.error = failure.error;
  (void)!send(kControl, &answer, sizeof(answer), MSG_NOSIGNAL);
  _exit(127);
}

// At most what the agent itself is limited to, which it has no privilege to raise.
void limit(int resource, uint64_t soft, uint64_t hard) {
  auto which = static_cast<decltype(RLIMIT_CORE)>(resource);
  rlimit value;
  if (getrlimit(which, &value) != 0) give_up(Failure::here("limit"));
  value.rlim_max = std::min(value.rlim_max, static_cast<rlim_t>(hard));
  value.rlim_cur = std::min(value.rlim_max, static_cast<rlim_t>(soft));
  if (setrlimit(which, &value) != 0) give_up(Failure::here("limit"));
}

bool read_all(char* into, size_t count) {
  while (count > 0) {
    ssize_t got = recv(kControl, into, count, 0);
    if (got <= 0) return false;
    into += got;
    count -= static_cast<size_t>(got);
  }
  return true;
}

// The order of these matters: groups before the user, who may not change them; capabilities last.
void confine(const std::string& directory, std::optional<std::pair<uid_t, gid_t>> user) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (setsid() < 0) give_up(Failure::here("session"));
  limit(RLIMIT_CORE, 0, 0);
  limit(RLIMIT_NOFILE, 1024, 1024);
  if (user && (setgroups(0, nullptr) != 0 || setresgid(user->second, user->second, user->second) != 0 ||
               setresuid(user->first, user->first, user->first) != 0))
    give_up(Failure::here("user"));
  if (Result<> dropped = drop_all_privileges(); !dropped) give_up(dropped.failure());
  if (chdir(directory.c_str()) != 0) give_up(Failure::here("work-directory"));
  // Changing the user resets both.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_DUMPABLE, 0);
}

Order take_order() {
  Order order;
  Rights rights;
  iovec piece{&order, sizeof(order)};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = rights.bytes;
  message.msg_controllen = sizeof(rights.bytes);
  // The agent has ended, or wants no program any more.
  if (recvmsg(kControl, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL) != sizeof(order)) _exit(127);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_len != CMSG_LEN(3 * sizeof(int))) _exit(127);
  int given[3];
  std::memcpy(given, CMSG_DATA(header), sizeof(given));
  for (int i = 0; i < 3; i++) {
    if (dup2(given[i], i) < 0) give_up(Failure::here("stdio"));
  }
  return order;
}

std::vector<char*> take_words(char*& at, uint64_t count) {
  std::vector<char*> words;
  for (uint64_t i = 0; i < count; i++) {
    words.push_back(at);
    at += std::strlen(at) + 1;
  }
  words.push_back(nullptr);
  return words;
}

void reset_signals() {
  signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

[[noreturn]] void wait_and_become() {
  Order order = take_order();
  std::string text(order.bytes, '\0');
  if (!read_all(text.data(), text.size())) _exit(127);
  char* at = text.data();
  std::vector<char*> argv = take_words(at, order.argv);
  std::vector<char*> candidates = take_words(at, order.candidates);
  std::vector<char*> environment = take_words(at, order.environment);
  if (order.cpu_seconds > 0) limit(RLIMIT_CPU, order.cpu_seconds, order.cpu_seconds + 1);
  if (order.data_bytes > 0) limit(RLIMIT_DATA, order.data_bytes, order.data_bytes);
  limit(RLIMIT_NPROC, order.processes, order.processes);
  reset_signals();
  int error = ENOENT;
  for (char** candidate = candidates.data(); *candidate != nullptr; candidate++) {
    execve(*candidate, argv.data(), environment.data());
    if (errno == EACCES) error = EACCES;
    if (errno != EACCES && errno != ENOENT && errno != ENOTDIR) give_up(Failure::here("execve"));
  }
  give_up({"execve", error});
}

[[noreturn]] void be_child(int control, const std::string& directory, std::optional<std::pair<uid_t, gid_t>> user) {
  // Without CLOEXEC on this number until all is in place: dup3 refuses equal numbers.
  if (control != kControl && dup3(control, kControl, O_CLOEXEC) < 0) _exit(127);
  sys::close_range(kControl + 1, ~0u, 0);
  confine(directory, user);
  wait_and_become();
}

void append(std::string& text, const std::vector<std::string>& words) {
  for (const std::string& word : words) text.append(word.c_str(), word.size() + 1);
}

}  // namespace

Result<SpareChild> SpareChild::start(const std::string& directory, std::optional<std::pair<uid_t, gid_t>> user) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Failure::here("control");
  UniqueFd ours(ends[0]), theirs(ends[1]);
  pid_t pid = fork();
  if (pid < 0) return Failure::here("fork");
  if (pid == 0) be_child(theirs.get(), directory, user);
  return SpareChild(pid, std::move(ours));
}

bool SpareChild::become(const Program& program) {
  std::string words;
  append(words, program.argv);
  append(words, program.candidates);
  append(words, program.environment);
  Order order{words.size(),        program.argv.size(), program.candidates.size(), program.environment.size(),
              program.cpu_seconds, program.data_bytes,  program.processes};
  Rights rights{};
  iovec piece{&order, sizeof(order)};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = rights.bytes;
  message.msg_controllen = sizeof(rights.bytes);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(program.stdio));
  std::memcpy(CMSG_DATA(header), program.stdio, sizeof(program.stdio));
  if (sendmsg(control_.get(), &message, MSG_NOSIGNAL) != sizeof(order)) return false;
  std::string_view rest = words;
  while (!rest.empty()) {
    ssize_t count = send(control_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    rest.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

std::optional<Failure> SpareChild::failure() const {
  Answer answer;
  if (recv(control_.get(), &answer, sizeof(answer), MSG_DONTWAIT) != sizeof(answer)) return std::nullopt;
  // The steps are literals on both sides of the fork; what came over the socket does not live on.
  for (const char* step : {"execve", "limit", "user", "work-directory", "stdio", "session"}) {
    if (std::strcmp(step, answer.step) == 0) return Failure{step, answer.error};
  }
  return Failure{"privileges", answer.error};
}

}  // namespace plybox::single

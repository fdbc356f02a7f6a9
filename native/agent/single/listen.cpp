#include "agent/single/listen.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

// Older kernel headers take sockaddr from <sys/socket.h> and do not include it.
#include <linux/vm_sockets.h>

#include "agent/scratch.h"

namespace plybox::single {
namespace {

// Answers false at the end.
bool carry(int from, int to) {
  ssize_t count = read(from, scratch, kScratchBytes);
  for (ssize_t at = 0; at < count;) {
    ssize_t written = write(to, scratch + at, static_cast<size_t>(count - at));
    if (written <= 0) return false;
    at += written;
  }
  return count > 0;
}

[[noreturn]] void be_bridge(int socket) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd ends[] = {{0, POLLIN, 0}, {socket, POLLIN, 0}};
  for (;;) {
    if (poll(ends, 2, -1) < 0) _exit(1);
    // The end of standard input is the end of the host: what still runs is not wanted any more.
    if (ends[0].revents != 0 && !carry(0, socket)) _exit(0);
    if (ends[1].revents != 0 && !carry(socket, 1)) _exit(0);
  }
}

Result<> silence(int number) {
  int null_device = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null_device < 0 || dup2(null_device, number) < 0) return Failure::here("null-device");
  close(null_device);
  return {};
}

std::string temporary_name(const std::string& path) { return path + ".new"; }

}  // namespace

Result<UniqueFd> listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string temporary = temporary_name(path);
  if (temporary.size() >= sizeof(address.sun_path)) return Failure{"unix", ENAMETOOLONG};
  temporary.copy(address.sun_path, sizeof(address.sun_path) - 1);
  for (const std::string& place : {path, temporary}) {
    struct stat status;
    if (lstat(place.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode)) return Failure{"unix", EEXIST};
  }
  if (unlink(temporary.c_str()) != 0 && errno != ENOENT) return Failure::here("unix");
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return Failure::here("unix");
  // The mode is there from the first moment.
  mode_t mask = umask(0177);
  int bound = bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  umask(mask);
  if (bound != 0 || listen(socket.get(), 64) != 0) return Failure::here("unix");
  return socket;
}

Result<> show_unix(const std::string& path) {
  if (rename(temporary_name(path).c_str(), path.c_str()) != 0) return Failure::here("unix");
  return {};
}

Result<UniqueFd> listen_vsock(uint32_t port) {
  UniqueFd socket(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return Failure::here("vsock");
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = port;
  if (bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 || listen(socket.get(), 64) != 0)
    return Failure::here("vsock");
  return socket;
}

Result<Bridge> bridge_stdio() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return Failure::here("stdio");
  UniqueFd ours(ends[0]), theirs(ends[1]);
  pid_t pid = fork();
  if (pid < 0) return Failure::here("fork");
  if (pid == 0) {
    ours.reset();
    be_bridge(theirs.get());
  }
  for (int number : {0, 1}) {
    if (Result<> silent = silence(number); !silent) return silent.failure();
  }
  return Bridge{std::move(ours), pid};
}

}  // namespace plybox::single

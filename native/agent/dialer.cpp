#include "agent/dialer.h"

#include <sys/socket.h>

#include <cerrno>

namespace plybox {
namespace {

// Inside one machine a connection that takes longer than this waits for a server that accepts none.
constexpr uint64_t kPatienceMs = 10000;
// A Unix socket whose backlog is full does not say when it no longer is.
constexpr uint64_t kRetryMs = 20;

const char* code_of(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ENOENT:
      return "connection-refused";
    case ETIMEDOUT:
      return "timed-out";
    case EPROTOTYPE:
    case ENOTSOCK:
      return "not-a-socket";
    case EACCES:
    case EPERM:
      return "permission-denied";
    default:
      return "no-resources";
  }
}

}  // namespace

Dialer::Dialer(EventLoop& loop, DialerOwner& owner, std::vector<SocketAddress> addresses)
    : loop_(loop),
      owner_(owner),
      addresses_(std::move(addresses)),
      deadline_(loop, [this] { give_up(ETIMEDOUT); }),
      retry_(loop, [this] { attempt(); }) {}

void Dialer::start() {
  deadline_.start(kPatienceMs);
  attempt();
}

void Dialer::attempt() {
  drop();
  const SocketAddress& address = addresses_[next_];
  socket_ = UniqueFd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) return take_result(errno);
  if (connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) == 0) {
    return take_result(0);
  }
  if (errno == EAGAIN) return retry_.start(kRetryMs);
  if (errno != EINPROGRESS) return take_result(errno);
  watching_ = loop_.watch(socket_.get(), EPOLLOUT, *this).ok();
  if (!watching_) take_result(errno);
}

void Dialer::ready(uint32_t) {
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  take_result(error);
}

void Dialer::take_result(int error) {
  if (error == 0) {
    if (watching_) loop_.unwatch(socket_.get(), *this);
    watching_ = false;
    deadline_.stop();
    return owner_.connected(std::move(socket_));
  }
  if (first_error_ == 0) first_error_ = error;
  if (++next_ < addresses_.size()) return attempt();
  // What the first address said: the others are tried in case, and may not exist at all.
  give_up(first_error_);
}

void Dialer::give_up(int error) {
  deadline_.stop();
  retry_.stop();
  drop();
  owner_.not_connected(Refusal::failed(code_of(error), "nothing accepts connections there", {"connect", error}));
}

void Dialer::drop() {
  if (watching_) loop_.unwatch(socket_.get(), *this);
  watching_ = false;
  socket_.reset();
}

}  // namespace plybox

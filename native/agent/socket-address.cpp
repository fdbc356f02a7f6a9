#include "agent/socket-address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "common/syscalls.h"

namespace plybox {
namespace {

template <typename Address>
SocketAddress generic(const Address& address, UniqueFd file = {}) {
  SocketAddress generic;
  static_assert(sizeof(address) <= sizeof(generic.storage));
  memcpy(&generic.storage, &address, sizeof(address));
  generic.length = sizeof(address);
  generic.file = std::move(file);
  return generic;
}

SocketAddress ipv4(in_addr host, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr = host;
  return generic(address);
}

SocketAddress ipv6(const in6_addr& host, uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = host;
  return generic(address);
}

// Loopback alone: a dial reaches what the sandbox serves, it is no way out of it.
std::variant<std::vector<SocketAddress>, Refusal> at_host(std::string_view host, uint16_t port) {
  std::string text(host);
  std::vector<SocketAddress> addresses;
  in_addr four;
  in6_addr six;
  if (inet_pton(AF_INET, text.c_str(), &four) == 1 && ntohl(four.s_addr) >> 24 == 127) {
    addresses.push_back(ipv4(four, port));
  } else if (inet_pton(AF_INET6, text.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six)) {
    addresses.push_back(ipv6(six, port));
  } else {
    return Refusal{"bad-address", "the host is neither in 127.0.0.0/8 nor ::1", "host"};
  }
  return addresses;
}

const char* code_of_path(int error) {
  switch (error) {
    case ENOENT:
      return "no-such-file";
    case ENOTDIR:
      return "not-a-directory";
    case EACCES:
    case EPERM:
      return "permission-denied";
    case ELOOP:
      return "too-many-links";
    case ENAMETOOLONG:
      return "name-too-long";
    default:
      return "no-resources";
  }
}

// A magic link such as /proc/*/fd/* could lead to what is not in the sandbox's tree.
Result<UniqueFd> open_place(std::string_view path) {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_NO_MAGICLINKS;
  UniqueFd file(sys::openat2(AT_FDCWD, std::string(path).c_str(), how));
  if (!file) return Failure::here("open");
  return file;
}

std::variant<std::vector<SocketAddress>, Refusal> at_path(std::string_view path) {
  Result<UniqueFd> file = open_place(path);
  if (!file) {
    Refusal refusal = Refusal::failed(code_of_path(file.failure().error), "cannot reach the socket", file.failure());
    refusal.field = "socket";
    return refusal;
  }
  struct stat status;
  if (fstat(file->get(), &status) != 0 || !S_ISSOCK(status.st_mode)) {
    return Refusal{"not-a-socket", "what is there is no socket", "socket"};
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // By its descriptor: no path is too long for an address, and it cannot be replaced meanwhile.
  snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", file->get());
  std::vector<SocketAddress> addresses;
  addresses.push_back(generic(address, file.take()));
  return addresses;
}

}  // namespace

std::variant<std::vector<SocketAddress>, Refusal> addresses_of(const DialRequest& request) {
  if (request.port == 0) return at_path(request.socket);
  if (request.host) return at_host(*request.host, request.port);
  // Many servers listen on one of the two alone.
  std::vector<SocketAddress> both;
  both.push_back(ipv4({htonl(INADDR_LOOPBACK)}, request.port));
  both.push_back(ipv6(in6addr_loopback, request.port));
  return both;
}

}  // namespace plybox

#include "tests/server.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/waits.h"

namespace plybox::test {

Server::Server(int family, const std::string& path, int backlog)
    : socket_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_storage address{};
  socklen_t length = sizeof(sockaddr_in6);
  address.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) {
    reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    length = sizeof(sockaddr_in);
  } else if (family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
  } else {
    path.copy(reinterpret_cast<sockaddr_un&>(address).sun_path, 107);
    length = sizeof(sockaddr_un);
  }
  REQUIRE(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(listen(socket_.get(), backlog) == 0);
  REQUIRE(getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  port_ = ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);  // at the same place in both families
}

UniqueFd Server::accept() {
  REQUIRE_MESSAGE(readable(socket_.get()), "nobody connects");
  UniqueFd accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  bound_waiting(accepted.get());
  return accepted;
}

std::string Server::dial(const std::string& more) const {
  return R"({"type":"dial","port":)" + std::to_string(port_) + more + "}";
}

}  // namespace plybox::test

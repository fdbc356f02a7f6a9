// A server beside an agent, for the tests: a socket of this process's own.
#pragma once
#include <cstdint>
#include <string>

#include "common/unique-fd.h"

namespace plybox::test {

// Listens on a free port of one loopback address, or at a path.
class Server {
 public:
  explicit Server(int family, const std::string& path = "", int backlog = 16);
  // Fails the test where nobody connects.
  UniqueFd accept();
  uint16_t port() const { return port_; }
  // The request for a connection to it, with `more` fields.
  std::string dial(const std::string& more = "") const;

 private:
  UniqueFd socket_;
  uint16_t port_ = 0;
};

}  // namespace plybox::test

// Which TCP ports something listens on.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plybox {

struct ListeningSocket {
  uint16_t port;
  std::string address;  // such as 127.0.0.1, 0.0.0.0 or ::
};

// One line of /proc/net/tcp or tcp6, but for the heading. Adds it where it is a socket that listens, and answers
// whether it is one.
bool parse_listening(std::string_view line, std::vector<ListeningSocket>& sockets);

// The answer to `ports`, by port.
std::string listening_ports_json();

}  // namespace plybox

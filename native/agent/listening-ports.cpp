#include "agent/listening-ports.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "agent/scratch.h"
#include "common/json.h"
#include "common/unique-fd.h"

namespace plybox {
namespace {

constexpr std::string_view kListening = "0A";

// The kernel writes an address as words in the byte order of the machine.
std::string address_of(std::string_view hex) {
  unsigned char bytes[16];
  size_t words = hex.size() / 8;
  if ((words != 1 && words != 4) || hex.size() % 8 != 0) return "";
  for (size_t i = 0; i < words; i++) {
    uint32_t word = 0;
    const char* from = hex.data() + 8 * i;
    if (std::from_chars(from, from + 8, word, 16).ptr != from + 8) return "";
    memcpy(bytes + 4 * i, &word, sizeof(word));
  }
  char text[INET6_ADDRSTRLEN];
  const char* written = inet_ntop(words == 1 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
  return written == nullptr ? "" : written;
}

std::string_view next_word(std::string_view& line) {
  size_t begin = std::min(line.find_first_not_of(' '), line.size());
  size_t end = std::min(line.find(' ', begin), line.size());
  std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

// The kernel lists sockets that listen first, so that reading ends before the connections, of which there may be many.
void read_table(const char* path, std::vector<ListeningSocket>& sockets) {
  UniqueFd table(open(path, O_RDONLY | O_CLOEXEC));
  if (!table) return;
  std::string rest;
  bool heading = true;
  for (;;) {
    ssize_t count = read(table.get(), scratch, kScratchBytes);
    if (count <= 0) return;
    rest.append(scratch, static_cast<size_t>(count));
    size_t begin = 0;
    for (size_t end; (end = rest.find('\n', begin)) != rest.npos; begin = end + 1) {
      std::string_view line = std::string_view(rest).substr(begin, end - begin);
      if (!heading && !parse_listening(line, sockets)) return;
      heading = false;
    }
    rest.erase(0, begin);
  }
}

}  // namespace

bool parse_listening(std::string_view line, std::vector<ListeningSocket>& sockets) {
  next_word(line);  // its number in the table
  std::string_view local = next_word(line);
  next_word(line);  // the other end
  if (next_word(line) != kListening) return false;
  size_t colon = local.find(':');
  if (colon == local.npos) return false;
  std::string_view digits = local.substr(colon + 1);
  uint16_t port = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), port, 16).ec != std::errc()) return false;
  std::string address = address_of(local.substr(0, colon));
  if (address.empty()) return false;
  sockets.push_back({port, std::move(address)});
  return true;
}

std::string listening_ports_json() {
  std::vector<ListeningSocket> sockets;
  read_table("/proc/net/tcp", sockets);
  read_table("/proc/net/tcp6", sockets);
  auto order = [](const ListeningSocket& a, const ListeningSocket& b) {
    return a.port != b.port ? a.port < b.port : a.address < b.address;
  };
  auto same = [](const ListeningSocket& a, const ListeningSocket& b) {
    return a.port == b.port && a.address == b.address;
  };
  std::sort(sockets.begin(), sockets.end(), order);
  sockets.erase(std::unique(sockets.begin(), sockets.end(), same), sockets.end());
  JsonWriter json;
  json.begin_object().key("ports").begin_array();
  for (size_t i = 0; i < sockets.size();) {
    uint16_t port = sockets[i].port;
    json.begin_object().key("port").integer(port).key("addresses").begin_array();
    for (; i < sockets.size() && sockets[i].port == port; i++) json.string(sockets[i].address);
    json.end_array().end_object();
  }
  json.end_array().end_object();
  return json.text();
}

}  // namespace plybox

#include "agent/single/options.h"

#include <unistd.h>

#include <charconv>
#include <string_view>

namespace plybox::single {
namespace {

constexpr uid_t kNobody = 65534;

template <typename Number>
bool parse(std::string_view text, Number min, Number max, Number& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= min && number <= max;
}

bool parse_user(std::string_view text, Options& options) {
  size_t colon = text.find(':');
  uid_t uid = 0;
  gid_t gid = 0;
  if (colon == text.npos || !parse(text.substr(0, colon), 0u, 0xfffffffeu, uid) ||
      !parse(text.substr(colon + 1), 0u, 0xfffffffeu, gid))
    return false;
  options.user.emplace(uid, gid);
  return true;
}

bool listen_on(Transport transport, Options& options) {
  if (options.transport != Transport::kNone) return false;
  options.transport = transport;
  return true;
}

bool take(std::string_view name, std::string_view value, Options& options) {
  if (name == "--unix") {
    options.socket = value;
    return value.starts_with('/') && listen_on(Transport::kUnix, options);
  }
  if (name == "--vsock-port")
    return parse(value, 1u, 0xfffffffeu, options.port) && listen_on(Transport::kVsock, options);
  if (name == "--source-bytes") return parse<size_t>(value, 1, 700000, options.source_bytes);
  if (name == "--user") return parse_user(value, options);
  if (name == "--work-directory") {
    options.work = value;
    return value.starts_with('/');
  }
  if (name == "--memory-fd") return parse(value, 3, 1023, options.memory_fd);
  if (name == "--memory-version") return parse(value, 1, 2, options.memory_version);
  return false;
}

}  // namespace

std::string parse_options(int argc, char* const* argv, Options& options) {
  for (int i = 1; i < argc; i++) {
    std::string_view name = argv[i];
    if (name == "--once") {
      options.once = true;
      continue;
    }
    if (name == "--stdio") {
      if (!listen_on(Transport::kStdio, options)) return "one of --unix, --vsock-port and --stdio is needed";
      options.once = true;
      continue;
    }
    if (i + 1 == argc) return "not understood: " + std::string(name);
    if (!take(name, argv[i + 1], options)) return "not understood: " + std::string(name) + " " + argv[i + 1];
    i++;
  }
  if (options.transport == Transport::kNone) return "one of --unix, --vsock-port and --stdio is needed";
  if ((options.memory_fd < 0) != (options.memory_version == 0))
    return "--memory-fd and --memory-version belong together";
  if (!options.user && geteuid() == 0) options.user.emplace(kNobody, kNobody);
  return "";
}

}  // namespace plybox::single

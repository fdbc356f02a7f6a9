#include "agent/options.h"

#include <charconv>
#include <string_view>

namespace plybox {
namespace {

bool parse_number(std::string_view text, uint64_t min, uint64_t max, uint64_t& number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && number >= min && number <= max;
}

bool parse_int(std::string_view text, int min, int max, int& value) {
  uint64_t number = 0;
  if (!parse_number(text, static_cast<uint64_t>(min), static_cast<uint64_t>(max), number)) return false;
  value = static_cast<int>(number);
  return true;
}

bool take(std::string_view name, std::string_view value, Options& options) {
  constexpr int kFirstFd = 3, kLastFd = 1023;
  if (name == "--sandbox") {
    options.sandbox = value;
    return !value.empty();
  }
  if (name == "--incarnation") return parse_number(value, 0, (1ull << 53) - 1, options.incarnation);
  if (name == "--listen-fd") return parse_int(value, kFirstFd, kLastFd, options.listen_fd);
  if (name == "--track-fd") return parse_int(value, kFirstFd, kLastFd, options.track_fd);
  if (name == "--track-version") return parse_int(value, 1, 2, options.track_version);
  if (name == "--memory-fd") return parse_int(value, kFirstFd, kLastFd, options.memory_fd);
  if (name == "--open-files") return parse_number(value, 1, UINT32_MAX, options.open_files.emplace());
  if (name == "--file-bytes") return parse_number(value, 0, INT64_MAX, options.file_bytes.emplace());
  if (name == "--least-room") return parse_number(value, 1, INT64_MAX, options.least_room);
  if (name == "--referenced-fd") return parse_int(value, kFirstFd, kLastFd, options.referenced_fd);
  if (name == "--reserved-fd") return parse_int(value, kFirstFd, kLastFd, options.reserved_fd);
  if (name == "--quota-bytes") return parse_number(value, 1, INT64_MAX, options.quota_bytes);
  if (name == "--fail-at") return !(options.fail_at = value).empty();
  if (name == "--memory-version") return parse_int(value, 1, 2, options.memory_version);
  if (name == "--filter-fd") return parse_int(value, kFirstFd, kLastFd, options.filter_fd);
  return false;
}

}  // namespace

std::string parse_options(int argc, char* const* argv, Options& options) {
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return std::string(argv[i]) + " has no value";
    if (!take(argv[i], argv[i + 1], options)) return std::string("not understood: ") + argv[i] + " " + argv[i + 1];
  }
  if (options.sandbox.empty()) return "--sandbox is needed";
  if (options.listen_fd < 0) return "--listen-fd is needed";
  if ((options.track_fd < 0) != (options.track_version == 0)) return "--track-fd and --track-version belong together";
  if ((options.memory_fd < 0) != (options.memory_version == 0))
    return "--memory-fd and --memory-version belong together";
  bool quota = options.quota_bytes > 0;
  if ((options.referenced_fd >= 0) != quota || (options.reserved_fd >= 0) != quota)
    return "--referenced-fd, --reserved-fd and --quota-bytes belong together";
  return "";
}

}  // namespace plybox

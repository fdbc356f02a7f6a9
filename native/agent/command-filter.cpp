#include "agent/command-filter.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

namespace plybox {

Result<std::vector<sock_filter>> read_command_filter(int fd) {
  std::vector<sock_filter> filter;
  if (fd < 0) return filter;
  struct stat status;
  if (fstat(fd, &status) != 0) return Failure::here("filter-fd");
  size_t bytes = static_cast<size_t>(status.st_size);
  bool whole = bytes > 0 && bytes % sizeof(sock_filter) == 0 && bytes <= BPF_MAXINSNS * sizeof(sock_filter);
  if (!whole) return Failure{"filter-fd", EINVAL};
  filter.resize(bytes / sizeof(sock_filter));
  if (pread(fd, filter.data(), bytes, 0) != static_cast<ssize_t>(bytes)) return Failure::here("filter-fd");
  return filter;
}

}  // namespace plybox

#include "tree/roots.h"

#include <fcntl.h>
#include <stdio.h>

#include "common/syscalls.h"

namespace plybox::tree {
namespace {

constexpr int kMostAttempts = 128;

// With the rights that `flags` ask for, of what O_PATH has opened.
Result<UniqueFd> reopen(int place, int flags) {
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", place);
  UniqueFd fd(openat(AT_FDCWD, path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return Failure::here("open");
  return fd;
}

}  // namespace

uint32_t Roots::add(UniqueFd root) {
  roots_.push_back(std::move(root));
  return static_cast<uint32_t>(roots_.size() - 1);
}

Result<int> Roots::root(uint32_t number) const {
  if (number >= roots_.size()) return Failure{"root", EBADF};
  return roots_[number].get();
}

Result<UniqueFd> Roots::open(uint32_t number, const std::string& path, int flags) const {
  Result<int> top = root(number);
  if (!top) return top.failure();
  open_how how{};
  how.flags = static_cast<uint64_t>(O_PATH | O_NOFOLLOW | O_CLOEXEC | flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  // A rename anywhere on the machine may make the kernel unsure of a "..".
  for (int attempt = 0; attempt < kMostAttempts; attempt++) {
    UniqueFd fd(sys::openat2(*top, path.empty() ? "." : path.c_str(), how));
    if (fd) return fd;
    if (errno != EAGAIN) break;
  }
  return Failure::here("open");
}

Result<Spot> Roots::spot(uint32_t number, const std::string& path) const {
  size_t slash = path.rfind('/');
  std::string name = path.substr(slash == path.npos ? 0 : slash + 1);
  if (name == "." || name == ".." || (name.empty() && !path.empty())) return Failure{"open", EINVAL};
  Result<UniqueFd> directory = open(number, slash == path.npos ? "" : path.substr(0, slash), O_DIRECTORY);
  if (!directory) return directory.failure();
  return Spot{directory.take(), name.empty() ? "." : name};
}

Result<UniqueFd> open_file(const Roots& roots, uint32_t number, const std::string& path) {
  Result<UniqueFd> place = roots.open(number, path, 0);
  if (!place) return place.failure();
  struct stat status;
  if (fstat(place->get(), &status) != 0) return Failure::here("stat");
  // Before it is opened: a pipe would wait, a device might do something.
  if (!S_ISREG(status.st_mode)) return Failure{"open", S_ISDIR(status.st_mode) ? EISDIR : EINVAL};
  return reopen(place->get(), O_RDONLY);
}

Result<UniqueFd> open_directory(const Roots& roots, uint32_t number, const std::string& path) {
  Result<UniqueFd> place = roots.open(number, path, O_DIRECTORY);
  if (!place) return place.failure();
  return reopen(place->get(), O_RDONLY | O_DIRECTORY);
}

}  // namespace plybox::tree

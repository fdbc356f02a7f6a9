#include "agent/files/resolve.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <string_view>

#include "common/syscalls.h"

namespace plybox {
namespace {

constexpr int kMostLinks = 40;     // as the kernel
constexpr int kMostAttempts = 64;  // of a resolution that a rename elsewhere disturbs

int root() {
  static UniqueFd fd(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  return fd.get();
}

int open_in_root(const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_NO_MAGICLINKS | RESOLVE_IN_ROOT;
  for (int attempt = 0; attempt < kMostAttempts; attempt++) {
    int fd = sys::openat2(root(), path.c_str(), how);
    if (fd >= 0 || errno != EAGAIN) {
      // Older kernels: the worker has nothing open that a magic link of its own could lead to.
      return fd < 0 && errno == ENOSYS ? open(path.c_str(), flags | O_CLOEXEC) : fd;
    }
  }
  return -1;
}

struct Parts {
  std::string parent;
  std::string name;
};

// Nothing for what has no last part that could be made or removed.
std::optional<Parts> split(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  size_t slash = path.rfind('/');
  if (slash == path.npos) return std::nullopt;
  std::string_view name = path.substr(slash + 1);
  if (name.empty() || name == "." || name == "..") return std::nullopt;
  return Parts{std::string(path.substr(0, slash + 1)), std::string(name)};
}

Refusal no_name(const char* field) {
  return {"bad-request", std::string(field) + " has no name as its last part", field};
}

}  // namespace

Outcome<UniqueFd> open_place(const std::string& path, LastLink last, const char* field) {
  UniqueFd fd(open_in_root(path, O_PATH | (last == LastLink::kStay ? O_NOFOLLOW : 0)));
  if (!fd) return failed("open", field);
  return fd;
}

Outcome<UniqueFd> open_directory_place(const std::string& path, const char* field) {
  UniqueFd fd(open_in_root(path, O_PATH | O_DIRECTORY));
  if (!fd) return failed("open", field);
  return fd;
}

Outcome<UniqueFd> open_directory(int directory, const char* name) {
  UniqueFd fd(openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  // O_DIRECTORY and O_NOFOLLOW together say ENOTDIR of a symlink.
  if (!fd) return failed("open-directory");
  return fd;
}

Outcome<UniqueFd> open_below(int directory, const std::string& path, int flags) {
  flags |= O_PATH | O_NOFOLLOW | O_CLOEXEC;
  open_how how{};
  how.flags = static_cast<uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0; attempt < kMostAttempts; attempt++) {
    UniqueFd fd(sys::openat2(directory, path.c_str(), how));
    if (fd) return fd;
    if (errno != EAGAIN) break;
  }
  if (errno != ENOSYS) return failed("open");
  UniqueFd at;
  for (size_t start = 0; start < path.size();) {
    size_t slash = std::min(path.find('/', start), path.size());
    std::string name = path.substr(start, slash - start);
    if (name == "..") return failed("open", EXDEV);
    int step = slash < path.size() ? O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC : flags;
    UniqueFd next(openat(at ? at.get() : directory, name.c_str(), step));
    if (!next) return failed("open");
    at = std::move(next);
    start = slash + 1;
  }
  return at;
}

Outcome<UniqueFd> reopen(int place, int flags) {
  struct stat status;
  if (fstat(place, &status) != 0) return failed("stat");
  if (S_ISDIR(status.st_mode)) return failed("open", EISDIR, "path");
  if (!S_ISREG(status.st_mode)) return Refusal{"not-a-file", "it is not a regular file", "path"};
  return reopen_regular(place, flags);
}

Outcome<UniqueFd> reopen_regular(int place, int flags) {
  // Not open(), which in musl costs a second system call.
  UniqueFd fd(openat(AT_FDCWD, descriptor_path(place).c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return failed("open", "path");
  return fd;
}

Outcome<Spot> find_spot(const std::string& path, bool parents, const char* field) {
  std::optional<Parts> parts = split(path);
  if (!parts) return no_name(field);
  Outcome<UniqueFd> directory = open_directory_place(parts->parent, field);
  if (!directory && directory.refusal().error == ENOENT && parents) {
    Outcome<bool> made = make_directories(parts->parent, 0755, field);
    if (!made) return made.refusal();
    directory = open_directory_place(parts->parent, field);
  }
  if (!directory) return directory.refusal();
  return Spot{directory.take(), std::move(parts->name)};
}

Outcome<Spot> find_target_spot(const std::string& path, bool parents) {
  // Also refuses magic links, whose text the loop below would take for a path.
  if (Outcome<UniqueFd> place = open_place(path); !place && place.refusal().error == ELOOP) return place.refusal();
  std::string current = path;
  for (int links = 0; links <= kMostLinks; links++) {
    Outcome<Spot> spot = find_spot(current, parents);
    if (!spot) return spot;
    Outcome<std::string> target = read_link(spot->directory.get(), spot->name.c_str());
    // EINVAL: not a symlink; ENOENT: to be made.
    if (!target && (target.refusal().error == EINVAL || target.refusal().error == ENOENT)) return spot;
    if (!target) return target.refusal();
    current = target->starts_with('/') ? *target : split(current)->parent + *target;
  }
  return failed("open", ELOOP, "path");
}

Outcome<bool> make_directories(const std::string& path, mode_t mode, const char* field) {
  bool created = false;
  for (size_t end = 1; end < path.size();) {
    size_t slash = std::min(path.find('/', end), path.size());
    bool last = path.find_first_not_of('/', slash) == path.npos;
    std::string_view name(path.data() + end, slash - end);
    if (!name.empty() && name != "." && name != "..") {
      Outcome<UniqueFd> parent = open_directory_place(path.substr(0, end), field);
      if (!parent) return parent.refusal();
      created = mkdirat(parent->get(), std::string(name).c_str(), last ? mode : 0755) == 0;
      if (!created && errno != EEXIST) {
        int error = errno;
        // On a read-only or foreign directory what is there already is enough.
        if (!open_directory_place(path.substr(0, slash), field)) return failed("mkdir", error, field);
      }
    }
    end = slash + 1;
  }
  return created;
}

std::string descriptor_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

std::string current_path(int fd) {
  Outcome<std::string> path = read_link(AT_FDCWD, descriptor_path(fd).c_str());
  return path && path->starts_with('/') ? path.take() : std::string();
}

Outcome<std::string> read_link(int directory, const char* name) {
  std::string text(PATH_MAX, '\0');
  ssize_t count = readlinkat(directory, name, text.data(), text.size());
  if (count < 0) return failed("readlink");
  text.resize(static_cast<size_t>(count));
  return text;
}

}  // namespace plybox

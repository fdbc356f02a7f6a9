#include "tree/change.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <vector>

#include "tree/entry.h"

namespace plybox::tree {
namespace {

constexpr size_t kPieceBytes = 262144;
constexpr size_t kMostAtOnce = 1U << 30;

Result<> copy_by_reading(int from, int to, off_t at, off_t end) {
  std::unique_ptr<char[]> buffer(new char[kPieceBytes]);
  while (at < end) {
    ssize_t count = pread(from, buffer.get(), std::min<size_t>(kPieceBytes, static_cast<size_t>(end - at)), at);
    if (count < 0) return Failure::here("read");
    if (count == 0) return Failure{"read", ESTALE};
    for (ssize_t done = 0; done < count;) {
      ssize_t written = pwrite(to, buffer.get() + done, static_cast<size_t>(count - done), at + done);
      if (written < 0) return Failure::here("write");
      done += written;
    }
    at += count;
  }
  return {};
}

// The kernel copies, or shares the blocks, where the two file systems allow it.
Result<> copy_range(int from, int to, off_t at, off_t end) {
  off_t source = at, target = at;
  while (source < end) {
    size_t left = std::min<size_t>(kMostAtOnce, static_cast<size_t>(end - source));
    ssize_t count = copy_file_range(from, &source, to, &target, left, 0);
    if (count <= 0) return copy_by_reading(from, to, source, end);
  }
  return {};
}

Result<> copy_content(int from, int to, off_t size) {
  if (ftruncate(to, size) != 0) return Failure::here("write");
  for (off_t at = 0; at < size;) {
    off_t begin = lseek(from, at, SEEK_DATA);
    if (begin < 0 && errno == ENXIO) return {};
    off_t end = begin < 0 ? begin : lseek(from, begin, SEEK_HOLE);
    if (end < 0) return Failure::here("read");
    if (Result<> copied = copy_range(from, to, begin, std::min(end, size)); !copied) return copied;
    at = end;
  }
  return {};
}

Result<> copy_file(const Roots& roots, const Place& from, const Spot& to, off_t size) {
  Result<UniqueFd> source = open_file(roots, from.root, from.path);
  if (!source) return source.failure();
  UniqueFd target(openat(to.directory.get(), to.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!target) return Failure::here("create");
  return copy_content(source->get(), target.get(), size);
}

// Owner before mode and attributes: changing it takes away set-user-id bits and capabilities.
Result<> dress(const Spot& spot, const Entry& entry, Marks marks) {
  const struct stat& status = entry.status;
  int directory = spot.directory.get();
  const char* name = spot.name.c_str();
  if (fchownat(directory, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) != 0) return Failure::here("owner");
  if (Result<> written = write_attributes(directory, name, entry.attributes, marks); !written) return written;
  if (!S_ISLNK(status.st_mode) && fchmodat(directory, name, status.st_mode & 07777, 0) != 0)
    return Failure::here("mode");
  timespec times[2] = {{0, UTIME_OMIT}, status.st_mtim};
  if (utimensat(directory, name, times, AT_SYMLINK_NOFOLLOW) != 0) return Failure::here("times");
  return {};
}

Result<> make(const Roots& roots, const Place& from, const Spot& to, const Entry& entry) {
  const struct stat& status = entry.status;
  const char* name = to.name.c_str();
  int made;
  if (S_ISREG(status.st_mode)) return copy_file(roots, from, to, status.st_size);
  if (S_ISDIR(status.st_mode))
    made = mkdirat(to.directory.get(), name, 0700);
  else if (S_ISLNK(status.st_mode))
    made = symlinkat(entry.target.c_str(), to.directory.get(), name);
  else
    made = mknodat(to.directory.get(), name, (status.st_mode & S_IFMT) | 0600, status.st_rdev);
  if (made != 0) return Failure::here("create");
  return {};
}

Result<Entry> entry_at(const Roots& roots, const Place& place, Marks marks) {
  Result<Spot> spot = roots.spot(place.root, place.path);
  if (!spot) return spot.failure();
  return read_entry(spot->directory.get(), spot->name.c_str(), marks);
}

// The first name in a directory, or "".
Result<std::string> first_name(int directory) {
  int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = copy < 0 ? nullptr : fdopendir(copy);
  if (stream == nullptr) return Failure::here("list");
  std::string name;
  errno = 0;
  while (const dirent* entry = readdir(stream)) {
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    name = entry->d_name;
    break;
  }
  Failure failure = Failure::here("list");
  closedir(stream);
  if (name.empty() && failure.error != 0) return failure;
  return name;
}

}  // namespace

Result<> copy(const Roots& roots, const Place& from, const Place& to, Marks marks) {
  Result<Entry> entry = entry_at(roots, from, marks);
  if (!entry) return entry.failure();
  Result<Spot> spot = roots.spot(to.root, to.path);
  if (!spot) return spot.failure();
  if (Result<> made = make(roots, from, *spot, *entry); !made) return made;
  return dress(*spot, *entry, marks);
}

Result<> stamp(const Roots& roots, const Place& from, const Place& to, Marks marks) {
  Result<Entry> entry = entry_at(roots, from, marks);
  if (!entry) return entry.failure();
  Result<Entry> there = entry_at(roots, to, marks);
  if (!there) return there.failure();
  if (((entry->status.st_mode ^ there->status.st_mode) & S_IFMT) != 0) return Failure{"stamp", EEXIST};
  Result<Spot> spot = roots.spot(to.root, to.path);
  if (!spot) return spot.failure();
  return dress(*spot, *entry, marks);
}

Result<> link(const Roots& roots, uint32_t root, const std::string& existing, const std::string& path) {
  Result<Spot> from = roots.spot(root, existing);
  if (!from) return from.failure();
  Result<Spot> to = roots.spot(root, path);
  if (!to) return to.failure();
  if (linkat(from->directory.get(), from->name.c_str(), to->directory.get(), to->name.c_str(), 0) != 0)
    return Failure::here("link");
  return {};
}

// Goes down to what is empty and up again by way of "..", so that no depth needs more than two descriptors.
Result<> remove(const Roots& roots, const Place& place) {
  Result<Spot> spot = roots.spot(place.root, place.path);
  if (!spot) return spot.failure().error == ENOENT ? Result<>() : spot.failure();
  if (spot->name == ".") return Failure{"remove", EBUSY};
  std::vector<std::string> names{spot->name};
  UniqueFd directory = std::move(spot->directory);
  while (!names.empty()) {
    const char* name = names.back().c_str();
    if (unlinkat(directory.get(), name, 0) == 0 || errno == ENOENT ||
        (errno == EISDIR && unlinkat(directory.get(), name, AT_REMOVEDIR) == 0)) {
      names.pop_back();
      if (names.empty()) break;
      Result<std::string> next = first_name(directory.get());
      if (!next) return next.failure();
      if (next->empty()) {
        directory.reset(openat(directory.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (!directory) return Failure::here("remove");
      } else {
        names.push_back(next.take());
      }
      continue;
    }
    if (errno != ENOTEMPTY) return Failure::here("remove");
    UniqueFd below(openat(directory.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!below) return Failure::here("remove");
    directory = std::move(below);
    Result<std::string> next = first_name(directory.get());
    if (!next) return next.failure();
    names.push_back(next.take());
  }
  return {};
}

Result<> make_whiteout(const Roots& roots, const Place& place) {
  Result<Spot> spot = roots.spot(place.root, place.path);
  if (!spot) return spot.failure();
  if (mknodat(spot->directory.get(), spot->name.c_str(), S_IFCHR, 0) != 0) return Failure::here("whiteout");
  return {};
}

Result<> mark_opaque(const Roots& roots, const Place& place, bool opaque, Marks marks) {
  Result<Spot> spot = roots.spot(place.root, place.path);
  if (!spot) return spot.failure();
  return set_opaque(spot->directory.get(), spot->name.c_str(), opaque, marks);
}

Result<> sync(const Roots& roots, uint32_t root) {
  Result<UniqueFd> directory = open_directory(roots, root, "");
  if (!directory) return directory.failure();
  if (syncfs(directory->get()) != 0) return Failure::here("sync");
  return {};
}

}  // namespace plybox::tree

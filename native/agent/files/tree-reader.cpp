#include "agent/files/tree-reader.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "agent/files/hard-links.h"
#include "agent/files/resolve.h"
#include "agent/files/walk.h"

namespace plybox {
namespace {

constexpr size_t kPieceBytes = 262144;
constexpr size_t kMaxAttribute = 65536;  // of its value, as the kernel

TarEntry entry_of(const struct stat& status, std::string_view path) {
  TarEntry entry;
  entry.path = path;
  entry.type = status.st_mode & S_IFMT;
  entry.mode = status.st_mode & 07777;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  entry.modified = status.st_mtim;
  if (S_ISREG(status.st_mode)) entry.size = static_cast<uint64_t>(status.st_size);
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
    entry.major = major(status.st_rdev);
    entry.minor = minor(status.st_rdev);
  }
  return entry;
}

// The user's own extended attributes, of an open file.
void read_attributes(int fd, TarEntry& entry) {
  char names[4096];
  ssize_t count = flistxattr(fd, names, sizeof(names));
  for (ssize_t at = 0; at < count; at += static_cast<ssize_t>(std::strlen(names + at)) + 1) {
    std::string_view name = names + at;
    if (!name.starts_with("user.")) continue;
    std::string value(kMaxAttribute, '\0');
    ssize_t size = fgetxattr(fd, names + at, value.data(), value.size());
    if (size < 0) continue;
    value.resize(static_cast<size_t>(size));
    entry.attributes.emplace_back(name, std::move(value));
  }
}

class TreeReader final : public Visitor {
 public:
  TreeReader(Session* session, const std::vector<std::string>& exclude, TarSink& sink)
      : session_(session), exclude_(exclude), sink_(sink), buffer_(new char[kPieceBytes]) {}

  Outcome<> visit(const Place& place) override {
    if (excluded(place)) return {};
    UniqueFd fd(openat(place.directory, place.name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    // Removed meanwhile.
    if (!fd) return errno == ENOENT ? Outcome<>() : failed("open");
    return tell(fd.get(), place.path);
  }
  bool enters(const Place& place) override { return !excluded(place); }
  // An archive without what could not be read would look like the whole.
  Outcome<> unreadable(const Place&, const Refusal& refusal) override {
    return refusal.error == ENOENT || refusal.error == ENOTDIR ? Outcome<>() : refusal;
  }

  Outcome<> tell(int place, std::string_view path) {
    struct stat status;
    if (fstat(place, &status) != 0) return failed("stat");
    if (S_ISSOCK(status.st_mode)) return {};
    TarEntry entry = entry_of(status, path);
    if (S_ISLNK(status.st_mode)) {
      Outcome<std::string> target = read_link(place, "");
      if (!target) return target.refusal();
      entry.link = target.take();
    }
    if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
      if (const std::string* first = links_.meet(status.st_dev, status.st_ino, path)) {
        entry.hard_link = true;
        entry.link = *first;
        entry.size = 0;
        return tell_empty(entry);
      }
    }
    if (S_ISREG(status.st_mode)) return tell_file(place, entry);
    if (S_ISDIR(status.st_mode)) {
      UniqueFd fd(openat(place, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (fd) read_attributes(fd.get(), entry);
    }
    return tell_empty(entry);
  }

 private:
  bool excluded(const Place& place) const {
    std::string path(place.path);
    return std::any_of(exclude_.begin(), exclude_.end(), [&](const std::string& glob) {
      return fnmatch(glob.c_str(), place.name, 0) == 0 || fnmatch(glob.c_str(), path.c_str(), 0) == 0;
    });
  }

  Outcome<> tell_empty(const TarEntry& entry) {
    if (Outcome<> begun = sink_.begin(entry); !begun) return begun;
    return sink_.end();
  }

  Outcome<> tell_file(int place, TarEntry& entry) {
    Outcome<UniqueFd> file = reopen_regular(place, O_RDONLY);
    if (!file) return file.refusal();
    read_attributes(file->get(), entry);
    if (Outcome<> begun = sink_.begin(entry); !begun) return begun;
    for (uint64_t left = entry.size; left > 0;) {
      if (session_ != nullptr && left < entry.size) session_->breathe();
      size_t want = static_cast<size_t>(std::min<uint64_t>(left, kPieceBytes));
      ssize_t count = ::read(file->get(), buffer_.get(), want);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return failed("read");
      // It has become shorter: its size has been told, so zeros stand for the rest.
      if (count == 0) std::memset(buffer_.get(), 0, want);
      size_t got = count == 0 ? want : static_cast<size_t>(count);
      if (Outcome<> told = sink_.content({buffer_.get(), got}); !told) return told;
      left -= got;
    }
    return sink_.end();
  }

  Session* session_;
  const std::vector<std::string>& exclude_;
  TarSink& sink_;
  std::unique_ptr<char[]> buffer_;
  HardLinks links_;
};

}  // namespace

Outcome<> read_tree(Session* session, int place, const std::string& name, const std::vector<std::string>& exclude,
                    TarSink& sink) {
  struct stat status;
  if (fstat(place, &status) != 0) return failed("stat");
  TreeReader reader(session, exclude, sink);
  if (!S_ISDIR(status.st_mode)) return reader.tell(place, name);
  Outcome<UniqueFd> top = open_directory(place);
  if (!top) return top.refusal();
  if (Outcome<> told = reader.tell(place, "."); !told) return told;
  return walk(session, top.take(), Order::kTree, reader);
}

}  // namespace plybox

#include "agent/files/tree-builder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "agent/files/resolve.h"
#include "agent/files/scrap.h"

namespace plybox {
namespace {

Refusal bad(const std::string& path, const char* what) { return {"bad-archive", path + ": " + what}; }

Refusal failed_at(const char* step, const std::string& path) {
  Refusal refusal = failed(step);
  refusal.message = path + ": " + refusal.message;
  return refusal;
}

}  // namespace

Outcome<std::string> path_below_top(std::string_view path) {
  std::string clean;
  for (size_t start = 0; start < path.size();) {
    size_t slash = std::min(path.find('/', start), path.size());
    std::string_view name = path.substr(start, slash - start);
    start = slash + 1;
    if (name.empty() || name == ".") continue;
    if (name == "..") return bad(std::string(path), "leads upwards");
    if (!clean.empty()) clean += '/';
    clean += name;
  }
  return clean;
}

TreeBuilder::~TreeBuilder() {
  if (unfinished_) remove_scrap();
}

Outcome<UniqueFd> TreeBuilder::open_parent(const std::string& path, bool make_missing) {
  Outcome<UniqueFd> whole = open_below(top_.get(), path, O_DIRECTORY);
  if (whole || whole.refusal().error == EMFILE || whole.refusal().error == EACCES) return whole;
  // Once more by single steps: to make what is missing, and to say what is in the way.
  UniqueFd at;
  for (size_t start = 0; start < path.size();) {
    size_t slash = std::min(path.find('/', start), path.size());
    std::string name = path.substr(start, slash - start);
    start = slash + 1;
    int above = at ? at.get() : top_.get();
    constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd next(openat(above, name.c_str(), kFlags));
    if (!next && errno == ENOENT && make_missing && mkdirat(above, name.c_str(), 0755) == 0) {
      next = UniqueFd(openat(above, name.c_str(), kFlags));
    }
    // ENOTDIR of a symlink too.
    if (!next && (errno == ENOTDIR || errno == ELOOP)) return bad(path, "leads through what is no directory");
    if (!next) return failed_at("open", path);
    at = std::move(next);
  }
  return at;
}

// The directory that an entry is in; valid until the next call.
Outcome<int> TreeBuilder::parent_of(const std::string& path, bool make_missing) {
  size_t slash = path.rfind('/');
  if (slash == path.npos) return top_.get();
  std::string_view parent(path.data(), slash);
  // Entries of one directory come one after the other.
  if (!parent_ || parent_path_ != parent) {
    parent_.reset();
    Outcome<UniqueFd> opened = open_parent(std::string(parent), make_missing);
    if (!opened) return opened.refusal();
    parent_ = opened.take();
    parent_path_ = parent;
  }
  return parent_.get();
}

// Makes room for an entry. Answers whether the name is free now; errno says why not.
bool TreeBuilder::clear(int directory, const std::string& name) {
  if (unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return true;
  if (errno != EISDIR && errno != EPERM) return false;
  parent_.reset();
  return unlinkat(directory, name.c_str(), AT_REMOVEDIR) == 0;
}

Outcome<> TreeBuilder::begin(const TarEntry& entry) {
  Outcome<std::string> clean = path_below_top(entry.path);
  if (!clean) return clean.refusal();
  entry_ = entry;
  entry_.path = clean.take();
  if (entry_.path.empty()) {
    // "." and "/" are the top itself, which is there.
    if (entry.type != S_IFDIR) return bad(entry.path, "has no name");
    if (rules_.adorn_top) directories_.push_back({"", entry_});
    return {};
  }
  if (entry_.type == S_IFDIR) return make_directory(entry_, entry_.path);
  Outcome<int> directory = parent_of(entry_.path, true);
  if (!directory) return directory.refusal();
  return make(entry_, *directory, entry_.path.substr(entry_.path.rfind('/') + 1));
}

Outcome<> TreeBuilder::make_directory(const TarEntry& entry, const std::string& path) {
  Outcome<int> directory = parent_of(path, true);
  if (!directory) return directory.refusal();
  std::string name = path.substr(path.rfind('/') + 1);
  // Until the end it can be written to, whatever its mode.
  mode_t mode = (entry.mode & 0777) | 0700;
  struct stat status;
  if (mkdirat(*directory, name.c_str(), mode) != 0) {
    if (errno != EEXIST) return failed_at("mkdir", path);
    if (fstatat(*directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return failed_at("stat", path);
    if (!S_ISDIR(status.st_mode)) {
      if (unlinkat(*directory, name.c_str(), 0) != 0) return failed_at("remove", path);
      if (mkdirat(*directory, name.c_str(), mode) != 0) return failed_at("mkdir", path);
    }
  }
  directories_.push_back({path, entry});
  return {};
}

Outcome<> TreeBuilder::make(const TarEntry& entry, int directory, const std::string& name) {
  auto attempt = [&]() -> int {
    if (entry.hard_link) {
      Outcome<std::string> target = path_below_top(entry.link);
      if (!target || target->empty()) return -2;
      size_t slash = target->rfind('/');
      Outcome<UniqueFd> from = open_parent(slash == target->npos ? "" : target->substr(0, slash), false);
      int above = slash == target->npos ? top_.get() : from ? from->get() : -1;
      if (above < 0) return -2;
      return linkat(above, target->substr(slash == target->npos ? 0 : slash + 1).c_str(), directory, name.c_str(), 0);
    }
    switch (entry.type) {
      case S_IFLNK:
        return symlinkat(entry.link.c_str(), directory, name.c_str());
      case S_IFREG: {
        int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
        file_ = UniqueFd(openat(directory, name.c_str(), flags, entry.mode & 0777));
        return file_ ? 0 : -1;
      }
      default:
        return mknodat(directory, name.c_str(), entry.type | (entry.mode & 0777), makedev(entry.major, entry.minor));
    }
  };
  int made = attempt();
  if (made == -1 && errno == EEXIST) {
    if (entry.hard_link && path_below_top(entry.link) && *path_below_top(entry.link) == entry.path) return {};
    if (!clear(directory, name)) return failed_at("replace", entry.path);
    Outcome<int> again = parent_of(entry.path, true);
    if (!again) return again.refusal();
    directory = *again;
    made = attempt();
  }
  if (made == -2) return bad(entry.path, "is a link to what is not in the tree");
  if (made != 0) return failed_at(entry.hard_link ? "link" : "make", entry.path);
  if (file_) {
    // Cut off, it would look like the whole.
    set_scrap(directory, name);
    unfinished_ = true;
    return {};
  }
  if (entry.hard_link) return {};

  if (geteuid() == 0 && rules_.keep_owner &&
      fchownat(directory, name.c_str(), entry.uid, entry.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return failed_at("chown", entry.path);
  }
  timespec times[2] = {{0, UTIME_NOW}, entry.modified};
  utimensat(directory, name.c_str(), times, AT_SYMLINK_NOFOLLOW);
  return {};
}

Outcome<> TreeBuilder::content(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = write(file_.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed_at("write", entry_.path);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return {};
}

Outcome<> TreeBuilder::end() {
  if (!file_) return {};
  Outcome<> adorned = adorn(entry_, file_.get());
  file_.reset();
  if (!adorned) return adorned;
  keep_scrap();
  unfinished_ = false;
  return {};
}

// The owner first: changing it takes the set-user-id bit away.
Outcome<> TreeBuilder::adorn(const TarEntry& entry, int fd) {
  struct stat status;
  if (fstat(fd, &status) != 0) return failed_at("stat", entry.path);
  // As tar does, who may not give files away keeps them.
  bool give = rules_.keep_owner && geteuid() == 0 && (status.st_uid != entry.uid || status.st_gid != entry.gid);
  if (give && fchown(fd, entry.uid, entry.gid) != 0) return failed_at("chown", entry.path);
  mode_t mode = rules_.keep_owner ? entry.mode : entry.mode & 01777;
  if ((give || (status.st_mode & 07777) != mode) && fchmod(fd, mode) != 0) return failed_at("chmod", entry.path);
  for (const auto& [name, value] : entry.attributes) {
    // The others are the system's. Not every file system keeps these.
    if (name.starts_with("user.")) fsetxattr(fd, name.c_str(), value.data(), value.size(), 0);
  }
  timespec times[2] = {{0, UTIME_NOW}, entry.modified};
  if (futimens(fd, times) != 0) return failed_at("utimes", entry.path);
  return {};
}

Outcome<> TreeBuilder::finish() {
  parent_.reset();
  // Those below first, whose path may become closed.
  for (size_t i = directories_.size(); i-- > 0;) {
    const Directory& directory = directories_[i];
    Outcome<UniqueFd> place =
        directory.path.empty() ? open_directory(top_.get()) : open_below(top_.get(), directory.path, O_DIRECTORY);
    // Something else has taken its place, from the archive or from elsewhere.
    if (!place) continue;
    Outcome<UniqueFd> fd = open_directory(place->get());
    if (!fd) return fd.refusal();
    if (Outcome<> adorned = adorn(directory.entry, fd->get()); !adorned) return adorned;
  }
  return {};
}

}  // namespace plybox

#include "agent/files/watch-tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>

#include <algorithm>

#include "agent/files/directory.h"
#include "agent/files/resolve.h"

namespace plybox {
namespace {

constexpr uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MODIFY | IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO |
                             IN_DELETE_SELF | IN_MOVE_SELF | IN_EXCL_UNLINK;

bool is_in(const std::string& path, const std::string& directory) {
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

}  // namespace

std::string below(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + "/" + name;
}

Outcome<WatchedTop> WatchedTop::of(int place, const std::string& path) {
  struct stat status;
  if (fstat(place, &status) != 0) return failed("stat");
  WatchedTop top;
  // Not by way of symlinks that may be turned meanwhile.
  top.path_ = current_path(place);
  if (top.path_.empty()) top.path_ = path;
  top.device_ = status.st_dev;
  top.inode_ = status.st_ino;
  return top;
}

UniqueFd WatchedTop::open() const {
  Outcome<UniqueFd> place = open_place(path_);
  struct stat status;
  bool same = place && fstat(place->get(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
  return same ? place.take() : UniqueFd();
}

Outcome<> WatchTree::open() {
  inotify_ = UniqueFd(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_) return Refusal::failed("no-resources", "cannot watch", Failure::here("inotify"));
  watches_.clear();
  UniqueFd top = top_.open();
  if (!top) return failed("watch", ENOENT, "path");
  Outcome<bool> set_it = set(top.get(), "");
  if (!set_it) return set_it.refusal();
  return add("", {});
}

// Answers whether it is new.
Outcome<bool> WatchTree::set(int place, const std::string& path) {
  int number = inotify_add_watch(inotify_.get(), descriptor_path(place).c_str(), kEvents);
  if (number < 0 && errno == ENOSPC) {
    return Refusal::failed("no-resources", "there may be no more watches", Failure::here("watch"));
  }
  if (number < 0) return failed("watch", "path");
  auto at = std::lower_bound(watches_.begin(), watches_.end(), number,
                             [](const Watch& watch, int value) { return watch.number < value; });
  bool known = at != watches_.end() && at->number == number;
  if (known) {
    at->path = path;
  } else {
    watches_.insert(at, {number, path});
  }
  return !known;
}

// The watch first, the names then: what is made in between is told by both rather than by neither.
Outcome<> WatchTree::add(const std::string& path, const Found& found) {
  if (!recursive_) return {};
  UniqueFd top = top_.open();
  if (!top) return {};
  std::vector<std::string> waiting = {path};
  while (!waiting.empty()) {
    std::string directory = std::move(waiting.back());
    waiting.pop_back();
    Outcome<UniqueFd> place = open_below(top.get(), directory.empty() ? "." : directory, O_DIRECTORY);
    // It may be gone, or something else, by now: then an event says so.
    if (!place) continue;
    Outcome<bool> is_new = directory.empty() ? Outcome<bool>(true) : set(place->get(), directory);
    if (!is_new && is_new.refusal().error == ENOSPC) return is_new.refusal();
    if (!is_new || !*is_new) continue;
    Outcome<UniqueFd> fd = open_directory(place->get());
    if (!fd) continue;
    Outcome<Names> names = read_names(fd->get());
    if (!names) continue;
    for (size_t i = 0; i < names->size(); i++) {
      std::string name = below(directory, std::string((*names)[i]));
      if (found) found(name, names->type(i));
      // Of an unknown type it is tried.
      if (names->type(i) == DT_DIR || names->type(i) == DT_UNKNOWN) waiting.push_back(std::move(name));
    }
  }
  return {};
}

const std::string* WatchTree::directory(int watch) const {
  auto at = std::lower_bound(watches_.begin(), watches_.end(), watch,
                             [](const Watch& one, int value) { return one.number < value; });
  return at != watches_.end() && at->number == watch ? &at->path : nullptr;
}

void WatchTree::ended(int watch) {
  std::erase_if(watches_, [&](const Watch& one) { return one.number == watch; });
}

void WatchTree::moved(const std::string& from, const std::string& to) {
  for (Watch& watch : watches_) {
    if (is_in(watch.path, from)) watch.path = to + watch.path.substr(from.size());
  }
}

void WatchTree::left(const std::string& path) {
  std::erase_if(watches_, [&](const Watch& watch) {
    if (!is_in(watch.path, path)) return false;
    inotify_rm_watch(inotify_.get(), watch.number);
    return true;
  });
}

}  // namespace plybox

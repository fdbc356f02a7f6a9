// The inotify watches of a directory tree, and where each stands.
#pragma once
#include <sys/stat.h>

#include <functional>
#include <string>
#include <vector>

#include "agent/files/outcome.h"
#include "common/unique-fd.h"

namespace plybox {

// The top of what is watched, opened for a moment each time: while it is open, its removal would not be told.
class WatchedTop {
 public:
  // Of a place that stands at `path`.
  static Outcome<WatchedTop> of(int place, const std::string& path);
  // Nothing where something else stands there by now.
  UniqueFd open() const;

 private:
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

class WatchTree {
 public:
  WatchTree(const WatchedTop& top, bool recursive) : top_(top), recursive_(recursive) {}

  // Called for each name that was there when a directory's watch had been set.
  using Found = std::function<void(const std::string& path, unsigned char type)>;

  // Watches the top; what is below it too where it is recursive.
  Outcome<> open();
  int fd() const { return inotify_.get(); }
  // Watches the directory at `path` below the top, which is new there, with all below it.
  Outcome<> add(const std::string& path, const Found& found);
  // The directory of a watch, relative to the top: "" is the top itself. Null for a watch that has ended.
  const std::string* directory(int watch) const;
  void ended(int watch);
  // A directory has another path now.
  void moved(const std::string& from, const std::string& to);
  // It is no longer in the tree.
  void left(const std::string& path);

 private:
  struct Watch {
    int number;
    std::string path;
  };
  Outcome<bool> set(int place, const std::string& path);

  const WatchedTop& top_;
  bool recursive_;
  UniqueFd inotify_;
  std::vector<Watch> watches_;  // by number
};

// "" and "a" are "a"; "a" and "b" are "a/b".
std::string below(const std::string& directory, const std::string& name);

}  // namespace plybox

#include "agent/files/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "agent/files/directory.h"
#include "agent/files/resolve.h"

namespace plybox {
namespace {

// Directories above these are closed, and opened again by way of "..", so that a tree may be deeper than a process may
// have descriptors.
constexpr size_t kMostOpen = 64;
constexpr unsigned kBreathEvery = 64;

// What comes next in a directory: a name, or the content of the directory of that name.
struct Item {
  uint32_t index;
  bool content;
};

struct Level {
  UniqueFd fd;
  dev_t device;
  ino_t inode;
  Names names;
  std::vector<Item> items;
  size_t next = 0;
  size_t path_bytes;  // of the directory itself, with the slash
};

class Walk {
 public:
  Walk(Session* session, Order order, Visitor& visitor) : session_(session), order_(order), visitor_(visitor) {}

  Outcome<> run(UniqueFd top) {
    Outcome<Level> level = load(std::move(top));
    if (!level) return level.refusal();
    levels_.push_back(level.take());
    while (!levels_.empty()) {
      if (++steps_ % kBreathEvery == 0 && session_ != nullptr) session_->breathe();
      Outcome<> stepped = levels_.back().next < levels_.back().items.size() ? step() : leave();
      if (!stepped) return stepped;
    }
    return {};
  }

 private:
  Outcome<Level> load(UniqueFd fd) {
    struct stat status;
    if (fstat(fd.get(), &status) != 0) return failed("stat");
    Outcome<Names> names = read_names(fd.get());
    if (!names) return names.refusal();
    Level level{std::move(fd), status.st_dev, status.st_ino, names.take(), {}, 0, path_.size()};
    plan(level);
    return level;
  }

  void plan(Level& level) {
    Names& names = level.names;
    level.items.reserve(names.size());
    for (uint32_t i = 0; i < names.size(); i++) {
      if (names.type(i) == DT_UNKNOWN) {
        struct stat status;
        bool known = fstatat(level.fd.get(), names[i].data(), &status, AT_SYMLINK_NOFOLLOW) == 0;
        names.set_type(i, known && S_ISDIR(status.st_mode) ? DT_DIR : DT_REG);
      }
      level.items.push_back({i, false});
      if (names.type(i) == DT_DIR) level.items.push_back({i, true});
    }
    std::sort(level.items.begin(), level.items.end(),
              [&](const Item& a, const Item& b) { return before(names, a, b); });
  }

  bool before(const Names& names, const Item& a, const Item& b) const {
    if (a.index == b.index) return !a.content && b.content;
    std::string_view one = names[a.index], other = names[b.index];
    if (order_ == Order::kTree) return one < other;
    // The content of "a" stands where "a/" does.
    size_t common = std::min(one.size(), other.size());
    if (int difference = one.substr(0, common).compare(other.substr(0, common)); difference != 0) return difference < 0;
    auto next = [&](std::string_view name, const Item& item) {
      if (name.size() > common) return static_cast<int>(static_cast<unsigned char>(name[common]));
      return item.content ? '/' : -1;
    };
    return next(one, a) < next(other, b);
  }

  Place place(const Level& level, const Item& item) {
    std::string_view name = level.names[item.index];
    path_.resize(level.path_bytes);
    path_ += name;
    return {level.fd.get(), name.data(), path_, level.names.type(item.index) == DT_DIR, levels_.size()};
  }

  Outcome<> step() {
    Level& level = levels_.back();
    Item item = level.items[level.next++];
    Place here = place(level, item);
    if (!item.content) return visitor_.visit(here);
    if (!visitor_.enters(here)) return {};
    if (path_.size() > visitor_.longest_path())
      return visitor_.unreadable(here, {"too-deep", "its path is too long to be told"});
    Outcome<UniqueFd> fd = open_directory(here.directory, here.name);
    if (!fd) return visitor_.unreadable(here, fd.refusal());
    path_ += '/';
    Outcome<Level> below = load(fd.take());
    if (!below) {
      path_.pop_back();
      return visitor_.unreadable(here, below.refusal());
    }
    levels_.push_back(below.take());
    if (levels_.size() > kMostOpen) levels_[levels_.size() - kMostOpen - 1].fd.reset();
    return {};
  }

  Outcome<> leave() {
    Level done = std::move(levels_.back());
    levels_.pop_back();
    if (levels_.empty()) return {};
    Level& level = levels_.back();
    if (!level.fd) {
      Outcome<> back = reopen_parent(done, level);
      if (!back) return back;
    }
    return visitor_.leave(place(level, level.items[level.next - 1]));
  }

  Outcome<> reopen_parent(const Level& below, Level& level) {
    Outcome<UniqueFd> fd = open_directory(below.fd.get(), "..");
    if (!fd) return fd.refusal();
    struct stat status;
    if (fstat(fd->get(), &status) != 0) return failed("stat");
    if (status.st_dev != level.device || status.st_ino != level.inode) return failed("walk", ESTALE);
    level.fd = fd.take();
    return {};
  }

  Session* session_;
  Order order_;
  Visitor& visitor_;
  std::vector<Level> levels_;
  std::string path_;
  unsigned steps_ = 0;
};

}  // namespace

Outcome<> walk(Session* session, UniqueFd top, Order order, Visitor& visitor) {
  return Walk(session, order, visitor).run(std::move(top));
}

}  // namespace plybox

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/files/draft.h"
#include "agent/files/entry.h"
#include "agent/files/lines.h"
#include "agent/files/operations.h"
#include "agent/files/resolve.h"
#include "agent/files/watch-tree.h"

namespace plybox {
namespace {

// How long the second half of a move may come behind the first.
constexpr int kMoveWaitMs = 10;

// What the kernel calls a file without a name, "#" and its inode, when it is given one.
bool is_nameless(std::string_view name) {
  return name.size() > 1 && name[0] == '#' && name.find_first_not_of("0123456789", 1) == name.npos;
}

class Watcher {
 public:
  Watcher(Session& session, const WatchedTop& top, bool recursive)
      : session_(session), lines_(session), top_(top), tree_(top, recursive) {}

  Outcome<> open() { return tree_.open(); }

  // Until the path is gone; the session itself ends it where the host is.
  Outcome<> run() {
    while (!gone_) {
      pollfd both[2] = {{session_.socket(), POLLIN, 0}, {tree_.fd(), POLLIN, 0}};
      int ready = poll(both, 2, moving_ ? kMoveWaitMs : -1);
      if (ready < 0 && errno != EINTR) return failed("poll");
      if (both[0].revents != 0) session_.breathe();
      if (ready == 0) settle_move();
      if (ready > 0 && both[1].revents != 0) {
        if (Outcome<> taken = take_events(); !taken) return taken;
      }
      lines_.flush();
    }
    return {};
  }

 private:
  struct Moving {
    uint32_t cookie;
    std::string path;
    bool directory;
    bool draft;
  };

  Outcome<> take_events() {
    alignas(inotify_event) char buffer[65536];
    ssize_t count = read(tree_.fd(), buffer, sizeof(buffer));
    if (count < 0) return errno == EAGAIN || errno == EINTR ? Outcome<>() : failed("read");
    for (ssize_t at = 0; at < count && !gone_;) {
      auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if ((event->mask & IN_Q_OVERFLOW) != 0) return start_anew();
      take(*event);
    }
    return {};
  }

  // What the lost events would have told is not known: the watches are made again from what is there.
  Outcome<> start_anew() {
    moving_.reset();
    tell("overflow");
    if (Outcome<> opened = tree_.open(); opened || opened.refusal().error != ENOENT) return opened;
    tell("gone");
    gone_ = true;
    return {};
  }

  void take(const inotify_event& event) {
    const std::string* directory = tree_.directory(event.wd);
    if ((event.mask & IN_IGNORED) != 0) tree_.ended(event.wd);
    if (directory == nullptr || (event.mask & IN_IGNORED) != 0) return;
    if (event.len == 0) return take_own(*directory, event.mask);
    std::string path = below(*directory, event.name);
    bool is_directory = (event.mask & IN_ISDIR) != 0;
    bool draft = is_draft_name(event.name);
    if (moving_ && (event.mask & IN_MOVED_TO) != 0 && event.cookie == moving_->cookie) {
      return finish_move(path, draft);
    }
    settle_move();
    if ((event.mask & IN_MOVED_FROM) != 0) {
      moving_ = Moving{event.cookie, std::move(path), is_directory, draft};
    } else if (draft) {
      return;
    } else if ((event.mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
      appear(path, is_directory);
    } else if ((event.mask & IN_DELETE) != 0) {
      tell("removed", path);
    } else if ((event.mask & IN_MODIFY) != 0) {
      tell("modified", path);
    } else if ((event.mask & IN_ATTRIB) != 0 && !is_nameless(event.name)) {
      tell("attributes", path);
    }
  }

  // Of the watched thing itself. A directory below the top is told of by the one that it is in.
  void take_own(const std::string& directory, uint32_t mask) {
    if (!directory.empty()) return;
    settle_move();
    if ((mask & IN_MODIFY) != 0) tell("modified", ".");
    // A file that somebody has open is not deleted, but this name of it is gone.
    gone_ = (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0 || !top_.open();
    if ((mask & IN_ATTRIB) != 0 && !gone_) tell("attributes", ".");
    if (gone_) tell("gone");
  }

  void appear(const std::string& path, bool is_directory) {
    tell_created(path, is_directory ? DT_DIR : DT_UNKNOWN);
    if (is_directory) add_watches(path);
  }

  void add_watches(const std::string& path) {
    Outcome<> added = tree_.add(path, [&](const std::string& found, unsigned char type) {
      if (!is_draft_name(found.c_str() + found.rfind('/') + 1)) tell_created(found, type);
    });
    // Without a watch there would be changes that nobody tells of.
    if (!added) tell("overflow");
  }

  void finish_move(const std::string& path, bool draft) {
    Moving from = *std::move(moving_);
    moving_.reset();
    if (draft) {
      // Ours are made where they stay.
      if (!from.draft) tell("removed", from.path);
      return;
    }
    // A file of ours that takes the place of another.
    if (from.draft) return tell("modified", path);
    if (from.directory) tree_.moved(from.path, path);
    tell_moved(path, from);
    // It may have been moved before it had a watch.
    if (from.directory) add_watches(path);
  }

  // The other half has not come: it has left the tree.
  void settle_move() {
    if (!moving_) return;
    Moving from = *std::move(moving_);
    moving_.reset();
    if (from.directory) tree_.left(from.path);
    if (!from.draft) tell("removed", from.path);
  }

  // Directories that move with their watches may come to have a path of any length.
  static bool is_too_long(const std::string& path) { return path.size() > kLongestName; }

  void tell(const char* kind, const std::string& path = "") {
    if (is_too_long(path)) return tell("overflow");
    JsonWriter json;
    json.begin_object().key("kind").string(kind);
    if (!path.empty()) json.key("path").bytes(path);
    lines_.add(json.end_object().text());
  }

  void tell_created(const std::string& path, unsigned char type) {
    if (is_too_long(path)) return tell("overflow");
    JsonWriter json;
    json.begin_object().key("kind").string("created").key("path").bytes(path);
    write_type(json, path, type);
    lines_.add(json.end_object().text());
  }

  void tell_moved(const std::string& path, const Moving& from) {
    if (is_too_long(path) || is_too_long(from.path)) return tell("overflow");
    JsonWriter json;
    json.begin_object().key("kind").string("moved").key("path").bytes(path).key("from").bytes(from.path);
    write_type(json, path, from.directory ? DT_DIR : DT_UNKNOWN);
    lines_.add(json.end_object().text());
  }

  // Left out where it is gone by now.
  void write_type(JsonWriter& json, const std::string& path, unsigned char type) {
    if (type != DT_UNKNOWN) {
      json.key("type").string(type_name(DTTOIF(type)));
      return;
    }
    UniqueFd top = top_.open();
    if (!top) return;
    Outcome<UniqueFd> place = open_below(top.get(), path);
    struct stat status;
    // A symlink at the end is no way to somewhere: it is the thing itself.
    if (place && fstat(place->get(), &status) == 0) {
      json.key("type").string(type_name(status.st_mode));
    } else if (!place && place.refusal().error == ELOOP) {
      json.key("type").string("symlink");
    }
  }

  Session& session_;
  Lines lines_;
  const WatchedTop& top_;
  WatchTree tree_;
  std::optional<Moving> moving_;
  bool gone_ = false;
};

}  // namespace

Answer run(Session& session, const std::string& path, const WatchOp& op) {
  Outcome<UniqueFd> place = open_place(path);
  if (!place) return place.refusal();
  struct stat status;
  if (fstat(place->get(), &status) != 0) return failed("stat");
  Outcome<WatchedTop> top = WatchedTop::of(place->get(), path);
  if (!top) return top.refusal();
  place->reset();
  Watcher watcher(session, *top, op.recursive && S_ISDIR(status.st_mode));
  if (Outcome<> opened = watcher.open(); !opened) return opened.refusal();
  session.ack();
  if (Outcome<> watched = watcher.run(); !watched) return watched.refusal();
  session.end();
  return std::string("{}");
}

}  // namespace plybox

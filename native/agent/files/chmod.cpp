#include <fcntl.h>
#include <sys/stat.h>

#include "agent/files/operations.h"
#include "agent/files/resolve.h"
#include "agent/files/walk.h"

namespace plybox {
namespace {

// By the descriptor, so that it is the file that has been looked at. Symlinks have no mode.
int change_mode(int directory, const char* name, mode_t mode) {
  UniqueFd place(openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!place || fstat(place.get(), &status) != 0) return -1;
  return S_ISLNK(status.st_mode) ? 0 : chmod(descriptor_path(place.get()).c_str(), mode);
}

class ModeChanger final : public Visitor {
 public:
  explicit ModeChanger(mode_t mode) : mode_(mode) {}

  Outcome<> visit(const Place& place) override { return place.is_directory ? Outcome<>() : change(place); }
  bool enters(const Place&) override { return true; }
  // Behind its content, which the new mode may forbid to reach.
  Outcome<> leave(const Place& place) override { return change(place); }
  Outcome<> unreadable(const Place& place, const Refusal& refusal) override {
    if (Outcome<> changed = change(place); !changed) return changed;
    // Perhaps the old mode alone forbade it.
    Outcome<UniqueFd> fd = open_directory(place.directory, place.name);
    if (!fd) return refusal.error == ENOENT || refusal.error == ENOTDIR ? Outcome<>() : refusal;
    ModeChanger below(mode_);
    Outcome<> walked = walk(nullptr, fd.take(), Order::kTree, below);
    changed_ += below.changed_;
    return walked;
  }

  Outcome<> change(const Place& place) {
    if (change_mode(place.directory, place.name, mode_) != 0) {
      return errno == ENOENT ? Outcome<>() : failed("chmod", "path");
    }
    changed_++;
    return {};
  }
  uint64_t changed() const { return changed_; }

 private:
  mode_t mode_;
  uint64_t changed_ = 0;
};

}  // namespace

Answer run(Session& session, const std::string& path, const ChmodOp& op) {
  Outcome<UniqueFd> place = open_place(path);
  if (!place) return place.refusal();
  struct stat status;
  if (fstat(place->get(), &status) != 0) return failed("stat");
  std::string self = descriptor_path(place->get());
  uint64_t changed = 1;
  if (op.recursive && S_ISDIR(status.st_mode)) {
    Outcome<UniqueFd> top = open_directory(place->get());
    if (!top) {
      if (chmod(self.c_str(), op.mode) != 0) return failed("chmod", "path");
      top = open_directory(place->get());
    }
    if (!top) return top.refusal();
    ModeChanger changer(op.mode);
    if (Outcome<> walked = walk(&session, top.take(), Order::kTree, changer); !walked) return walked.refusal();
    changed += changer.changed();
  }
  if (chmod(self.c_str(), op.mode) != 0) return failed("chmod", "path");
  return JsonWriter().begin_object().key("changed").integer(changed).end_object().text();
}

}  // namespace plybox

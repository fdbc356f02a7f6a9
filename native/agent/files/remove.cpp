#include "agent/files/remove.h"

#include <fcntl.h>
#include <unistd.h>

#include "agent/files/operations.h"
#include "agent/files/walk.h"

namespace plybox {
namespace {

// Goes on behind what cannot be removed, so that as much as can be is gone; the first failure is the answer.
class Remover final : public Visitor {
 public:
  Outcome<> visit(const Place& place) override {
    if (!place.is_directory) drop(place.directory, place.name, 0);
    return {};
  }
  bool enters(const Place&) override { return true; }
  Outcome<> leave(const Place& place) override {
    drop(place.directory, place.name, AT_REMOVEDIR);
    return {};
  }
  Outcome<> unreadable(const Place& place, const Refusal& refusal) override {
    // Perhaps it is empty, or something else has been put in its place.
    if (unlinkat(place.directory, place.name, AT_REMOVEDIR) == 0 || unlinkat(place.directory, place.name, 0) == 0) {
      removed_++;
    } else if (errno != ENOENT && !failure_) {
      failure_ = refusal;
    }
    return {};
  }

  void drop(int directory, const char* name, int flags) {
    if (unlinkat(directory, name, flags) == 0) {
      removed_++;
    } else if (errno != ENOENT && !failure_) {
      // Somebody else removing the same is no failure.
      failure_ = failed("remove");
    }
  }
  uint64_t removed() const { return removed_; }
  const std::optional<Refusal>& failure() const { return failure_; }

 private:
  uint64_t removed_ = 0;
  std::optional<Refusal> failure_;
};

}  // namespace

Outcome<uint64_t> remove_tree(Session* session, const Spot& spot) {
  const char* name = spot.name.c_str();
  if (unlinkat(spot.directory.get(), name, 0) == 0) return uint64_t{1};
  if (errno != EISDIR && errno != EPERM) return failed("remove", "path");
  int error = errno;
  Outcome<UniqueFd> top = open_directory(spot.directory.get(), name);
  if (!top) {
    // It may be empty all the same.
    if (unlinkat(spot.directory.get(), name, AT_REMOVEDIR) == 0) return uint64_t{1};
    return errno == ENOTDIR ? failed("remove", error, "path") : top.refusal();
  }
  Remover remover;
  if (Outcome<> walked = walk(session, top.take(), Order::kTree, remover); !walked) return walked.refusal();
  remover.drop(spot.directory.get(), name, AT_REMOVEDIR);
  if (remover.failure()) return *remover.failure();
  return remover.removed();
}

Answer run(Session& session, const std::string& path, const RemoveOp& op) {
  uint64_t removed = 0;
  Outcome<Spot> spot = find_spot(path);
  auto absent = [&](const Refusal& refusal) { return op.missing && refusal.error == ENOENT; };
  if (!spot && !absent(spot.refusal())) return spot.refusal();
  if (spot && op.recursive) {
    Outcome<uint64_t> count = remove_tree(&session, *spot);
    if (!count && !absent(count.refusal())) return count.refusal();
    if (count) removed = *count;
  } else if (spot) {
    int directory = spot->directory.get();
    const char* name = spot->name.c_str();
    bool gone = unlinkat(directory, name, 0) == 0;
    // Only a directory is refused with EISDIR, by some file systems with EPERM.
    if (!gone && (errno == EISDIR || errno == EPERM)) {
      int error = errno;
      gone = unlinkat(directory, name, AT_REMOVEDIR) == 0;
      if (!gone && errno == ENOTDIR) errno = error;
      // What POSIX allows some file systems to say of a directory that is not empty.
      if (!gone && errno == EEXIST) errno = ENOTEMPTY;
    }
    if (!gone) {
      Refusal refusal = failed("remove", "path");
      if (!absent(refusal)) return refusal;
    }
    removed = gone ? 1 : 0;
  }
  return JsonWriter().begin_object().key("removed").integer(removed).end_object().text();
}

}  // namespace plybox

#include <fcntl.h>
#include <unistd.h>

#include "agent/files/draft.h"
#include "agent/files/entry.h"
#include "agent/files/operations.h"
#include "agent/files/resolve.h"

namespace plybox {
namespace {

Refusal changed() { return {"changed", "the file has changed", "ifMatch"}; }

// The file that is there before: nothing where there is none.
Outcome<std::optional<struct stat>> old_file(const Spot& spot, const WriteOp& op) {
  struct stat status;
  if (fstatat(spot.directory.get(), spot.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno != ENOENT) return failed("stat", "path");
    if (op.if_match) return changed();
    return std::optional<struct stat>();
  }
  if (op.how == WriteOp::How::kCreate) return failed("open", EEXIST, "path");
  if (S_ISDIR(status.st_mode)) return failed("open", EISDIR, "path");
  if (!S_ISREG(status.st_mode)) return Refusal{"not-a-file", "it is not a regular file", "path"};
  // A rename asks for no right to the file itself.
  if (faccessat(spot.directory.get(), spot.name.c_str(), W_OK, 0) != 0) return failed("open", "path");
  if (op.if_match && *op.if_match != etag_of(status)) return changed();
  return std::optional<struct stat>(status);
}

Answer report(int fd, uint64_t bytes) {
  struct stat status;
  if (fstat(fd, &status) != 0) return failed("stat");
  JsonWriter json;
  json.begin_object().key("bytes").integer(bytes).key("etag").string(etag_of(status)).end_object();
  return json.text();
}

Outcome<> take_over(int fd, const std::optional<struct stat>& old, mode_t mode) {
  if (old) {
    struct stat status;
    if (fstat(fd, &status) != 0) return failed("stat");
    bool same = status.st_uid == old->st_uid && status.st_gid == old->st_gid;
    if (!same && fchown(fd, old->st_uid, old->st_gid) != 0) return failed("chown", "path");
  }
  // Behind chown, which takes away the set-user-id bit.
  if (fchmod(fd, old ? old->st_mode & 07777 : mode) != 0) return failed("chmod", "path");
  return {};
}

Answer write_atomically(Session& session, const std::string& path, const WriteOp& op) {
  bool create = op.how == WriteOp::How::kCreate;
  Outcome<Spot> spot = create ? find_spot(path, op.parents) : find_target_spot(path, op.parents);
  if (!spot) return spot.refusal();
  Outcome<std::optional<struct stat>> old = old_file(*spot, op);
  if (!old) return old.refusal();
  Outcome<Draft> draft = Draft::open(spot->directory.get());
  if (!draft) return draft.refusal();
  // The owner's right to give it away is known before the bytes come.
  if (Outcome<> taken = take_over(draft->fd(), *old, op.mode); !taken) return taken.refusal();
  session.ack();
  Outcome<uint64_t> bytes = session.receive_all(draft->fd());
  if (!bytes) return bytes.refusal();
  // Once more behind the content, for writing takes away the set-user-id bit too.
  if (Outcome<> taken = take_over(draft->fd(), *old, op.mode); !taken) return taken.refusal();
  if (op.if_match) {
    if (Outcome<std::optional<struct stat>> now = old_file(*spot, op); !now) return now.refusal();
  }
  Outcome<> published = create || !*old ? draft->create(spot->name) : draft->replace(spot->name);
  // Somebody else has made it meanwhile.
  if (!published && !create && published.refusal().error == EEXIST) published = draft->replace(spot->name);
  if (!published) return published.refusal();
  return report(draft->fd(), *bytes);
}

Outcome<UniqueFd> open_to_append(const std::string& path, const WriteOp& op) {
  constexpr int kMostAttempts = 16;  // while somebody makes and removes it
  for (int attempt = 0;; attempt++) {
    Outcome<UniqueFd> place = open_place(path);
    if (place) return reopen(place->get(), O_WRONLY | O_APPEND);
    if (place.refusal().error != ENOENT || attempt == kMostAttempts) return place.refusal();
    if (op.if_match) return changed();
    Outcome<Spot> spot = find_target_spot(path, op.parents);
    if (!spot) return spot.refusal();
    constexpr int kFlags = O_CREAT | O_EXCL | O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd fd(openat(spot->directory.get(), spot->name.c_str(), kFlags, op.mode));
    if (fd) return fd;
    if (errno != EEXIST) return failed("open", "path");
  }
}

Answer append(Session& session, const std::string& path, const WriteOp& op) {
  Outcome<UniqueFd> file = open_to_append(path, op);
  if (!file) return file.refusal();
  struct stat status;
  if (fstat(file->get(), &status) != 0) return failed("stat");
  if (op.if_match && *op.if_match != etag_of(status)) return changed();
  session.ack();
  Outcome<uint64_t> bytes = session.receive_all(file->get());
  if (!bytes) return bytes.refusal();
  return report(file->get(), *bytes);
}

}  // namespace

Answer run(Session& session, const std::string& path, const WriteOp& op) {
  return op.how == WriteOp::How::kAppend ? append(session, path, op) : write_atomically(session, path, op);
}

}  // namespace plybox

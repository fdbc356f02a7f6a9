#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/files/operations.h"
#include "agent/files/resolve.h"
#include "agent/files/walk.h"
#include "agent/users.h"

namespace plybox {
namespace {

class OwnerChanger final : public Visitor {
 public:
  OwnerChanger(uid_t uid, gid_t gid) : uid_(uid), gid_(gid) {}

  Outcome<> visit(const Place& place) override {
    if (fchownat(place.directory, place.name, uid_, gid_, AT_SYMLINK_NOFOLLOW) == 0) {
      changed_++;
    } else if (errno != ENOENT) {
      return failed("chown", "path");
    }
    return {};
  }
  bool enters(const Place&) override { return true; }
  Outcome<> unreadable(const Place&, const Refusal& refusal) override {
    return refusal.error == ENOENT || refusal.error == ENOTDIR ? Outcome<>() : refusal;
  }
  uint64_t changed() const { return changed_; }

 private:
  uid_t uid_;
  gid_t gid_;
  uint64_t changed_ = 0;
};

// A name alone leaves the group as it is; with a colon both are meant.
Outcome<Account> find_owner(const std::string& spec) {
  Users users;
  std::variant<const Account*, Refusal> found = users.lookup(spec);
  if (Refusal* refusal = std::get_if<Refusal>(&found)) {
    refusal->field = "owner";
    return *refusal;
  }
  return *std::get<const Account*>(found);
}

}  // namespace

Answer run(Session& session, const std::string& path, const ChownOp& op) {
  Outcome<Account> owner = find_owner(op.owner);
  if (!owner) return owner.refusal();
  gid_t gid = op.owner.find(':') == op.owner.npos ? static_cast<gid_t>(-1) : owner->gid;
  Outcome<UniqueFd> place = open_place(path, op.follow ? LastLink::kFollow : LastLink::kStay);
  if (!place) return place.refusal();
  struct stat status;
  if (fstat(place->get(), &status) != 0) return failed("stat");
  OwnerChanger changer(owner->uid, gid);
  if (fchownat(place->get(), "", owner->uid, gid, AT_EMPTY_PATH) != 0) return failed("chown", "path");
  if (op.recursive && S_ISDIR(status.st_mode)) {
    Outcome<UniqueFd> top = open_directory(place->get());
    if (!top) return top.refusal();
    if (Outcome<> walked = walk(&session, top.take(), Order::kTree, changer); !walked) return walked.refusal();
  }
  return JsonWriter().begin_object().key("changed").integer(changer.changed() + 1).end_object().text();
}

}  // namespace plybox

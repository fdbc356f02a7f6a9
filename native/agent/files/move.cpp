#include <sys/stat.h>
#include <unistd.h>

#include <fcntl.h>

#include <cerrno>

#include "agent/files/draft.h"
#include "agent/files/operations.h"
#include "agent/files/remove.h"
#include "agent/files/rename.h"
#include "agent/files/resolve.h"
#include "agent/files/tree-builder.h"
#include "agent/files/tree-reader.h"

namespace plybox {
namespace {

int rename_to(const Spot& from, const Spot& to, bool overwrite) {
  return rename_spot(from.directory.get(), from.name.c_str(), to.directory.get(), to.name.c_str(), overwrite);
}

Outcome<> copy(const Spot& from, int directory, const std::string& name) {
  UniqueFd place(openat(from.directory.get(), from.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  if (!place || fstat(place.get(), &status) != 0) return failed("open", "path");
  if (S_ISSOCK(status.st_mode)) return failed("rename", EXDEV, "to");
  bool tree = S_ISDIR(status.st_mode);
  if (tree && mkdirat(directory, name.c_str(), 0700) != 0) return failed("mkdir", "to");
  UniqueFd top(openat(directory, tree ? name.c_str() : ".", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!top) return failed("open", "to");
  TreeBuilder builder(std::move(top), {true, true});
  Outcome<> read = read_tree(nullptr, place.get(), name, {}, builder);
  return read ? builder.finish() : read;
}

// To another file system: under a name of ours first, so that `to` is never half there. Once begun it goes on to its
// end, though the host be gone: half a move would be two halves.
Answer move_across(const Spot& from, const Spot& to, bool overwrite) {
  struct stat status;
  if (!overwrite && fstatat(to.directory.get(), to.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    return failed("rename", EEXIST, "to");
  }
  Spot between{UniqueFd(fcntl(to.directory.get(), F_DUPFD_CLOEXEC, 3)), draft_name()};
  Outcome<> copied = copy(from, between.directory.get(), between.name);
  if (copied && rename_to(between, to, overwrite) != 0) copied = failed("rename", "to");
  if (!copied) {
    (void)!remove_tree(nullptr, between);
    return copied.refusal();
  }
  Outcome<uint64_t> removed = remove_tree(nullptr, from);
  if (!removed) return removed.refusal();
  return std::string("{}");
}

}  // namespace

Answer run(Session&, const std::string& path, const MoveOp& op) {
  Outcome<Spot> from = find_spot(path);
  if (!from) return from.refusal();
  Outcome<Spot> to = find_spot(op.to, op.parents, "to");
  if (!to) return to.refusal();
  if (rename_to(*from, *to, op.overwrite) == 0) return std::string("{}");
  if (errno == EXDEV) return move_across(*from, *to, op.overwrite);
  if (errno == EINVAL) return Refusal{"bad-request", "a directory cannot be moved into itself", "to", "rename", EINVAL};
  // At fault is what is in the way, but for a source that is not there.
  return failed("rename", errno == ENOENT ? "path" : "to");
}

}  // namespace plybox

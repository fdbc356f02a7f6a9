#include <cerrno>

#include "agent/files/operations.h"
#include "agent/files/rename.h"
#include "agent/files/resolve.h"

namespace plybox {

Answer run(Session&, const std::string& path, const MoveOp& op) {
  Outcome<Spot> from = find_spot(path);
  if (!from) return from.refusal();
  Outcome<Spot> to = find_spot(op.to, op.parents, "to");
  if (!to) return to.refusal();
  if (rename_spot(from->directory.get(), from->name.c_str(), to->directory.get(), to->name.c_str(), op.overwrite) ==
      0) {
    return std::string("{}");
  }
  if (errno == EINVAL) return Refusal{"bad-request", "a directory cannot be moved into itself", "to", "rename", EINVAL};
  // At fault is what is in the way, but for a source that is not there.
  return failed("rename", errno == ENOENT ? "path" : "to");
}

}  // namespace plybox

#include <fcntl.h>

#include "agent/files/operations.h"
#include "agent/files/resolve.h"

namespace plybox {
namespace {

std::string created(bool value) {
  return JsonWriter().begin_object().key("created").boolean(value).end_object().text();
}

}  // namespace

Answer run(Session&, const std::string& path, const MkdirOp& op) {
  if (op.parents) {
    Outcome<bool> made = make_directories(path, op.mode);
    if (!made) return made.refusal();
    if (!*made && !open_directory_place(path)) return failed("mkdir", EEXIST, "path");
    return created(*made);
  }
  // The root has no name in a directory, and is there.
  Outcome<Spot> spot = find_spot(path);
  if (!spot) return path.find_first_not_of('/') == path.npos ? failed("mkdir", EEXIST, "path") : spot.refusal();
  if (mkdirat(spot->directory.get(), spot->name.c_str(), op.mode) != 0) return failed("mkdir", "path");
  return created(true);
}

}  // namespace plybox

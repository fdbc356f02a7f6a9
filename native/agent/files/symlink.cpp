#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/files/draft.h"
#include "agent/files/operations.h"
#include "agent/files/resolve.h"
#include "agent/files/scrap.h"

namespace plybox {

Answer run(Session&, const std::string& path, const SymlinkOp& op) {
  Outcome<Spot> spot = find_spot(path);
  if (!spot) return spot.refusal();
  int directory = spot->directory.get();
  if (symlinkat(op.target.c_str(), directory, spot->name.c_str()) == 0) return std::string("{}");
  if (errno != EEXIST || !op.overwrite) return failed("symlink", "path");
  std::string between = draft_name();
  set_scrap(directory, between);
  if (symlinkat(op.target.c_str(), directory, between.c_str()) != 0) {
    keep_scrap();
    return failed("symlink", "path");
  }
  if (renameat(directory, between.c_str(), directory, spot->name.c_str()) != 0) {
    Refusal refusal = failed("rename", "path");
    remove_scrap();
    return refusal;
  }
  keep_scrap();
  return std::string("{}");
}

}  // namespace plybox

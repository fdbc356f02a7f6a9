#include "agent/files/operations.h"
#include "agent/files/resolve.h"
#include "agent/files/tar-reader.h"
#include "agent/files/tree-builder.h"

namespace plybox {
Answer run(Session& session, const std::string& path, const TarInOp& op) {
  bool created = false;
  if (op.parents) {
    Outcome<bool> made = make_directories(path, 0755);
    if (!made) return made.refusal();
    created = *made;
  }
  Outcome<UniqueFd> top = open_directory_place(path);
  if (!top) return top.refusal();
  session.ack();
  TreeBuilder tree(top.take(), {op.keep_owner, created});
  TarReader reader(tree);
  while (std::optional<std::string_view> piece = session.receive()) {
    if (Outcome<> fed = reader.feed(*piece); !fed) return fed.refusal();
  }
  if (Outcome<> finished = reader.finish(); !finished) return finished.refusal();
  if (Outcome<> finished = tree.finish(); !finished) return finished.refusal();
  return JsonWriter().begin_object().key("entries").integer(reader.entries()).end_object().text();
}

}  // namespace plybox

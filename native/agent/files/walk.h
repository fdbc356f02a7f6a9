// Goes through a directory tree by descriptors: each directory is opened below its parent's descriptor and never
// through a symlink, so that whatever is renamed meanwhile, the walk stays in the tree.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/files/outcome.h"
#include "agent/files/session.h"
#include "common/unique-fd.h"

namespace plybox {

// A name in a directory of the tree.
struct Place {
  int directory;          // open
  const char* name;       // in it
  std::string_view path;  // below the top, such as "a/b"
  bool is_directory;      // when its directory was read
  size_t depth;           // 1 for what is in the top
};

class Visitor {
 public:
  virtual Outcome<> visit(const Place& place) = 0;
  // Of a directory: whether its content is visited too.
  virtual bool enters(const Place& place) = 0;
  // Its content has been visited.
  virtual Outcome<> leave(const Place&) { return {}; }
  // A directory whose path is longer is not entered but `unreadable`: so what is told of one place is bounded.
  virtual size_t longest_path() const { return SIZE_MAX; }
  // It could not be opened or read.
  virtual Outcome<> unreadable(const Place& place, const Refusal& refusal) = 0;

 protected:
  ~Visitor() = default;
};

enum class Order {
  kTree,  // a directory, then its content; names by their bytes
  kPath,  // by the bytes of the whole path: "a", "a-b", "a/c"
};

// What is below `top`, a directory that can be read. Stops at the first refusal that the visitor answers. `session` is
// null for what is not to end half-way when the host is gone.
Outcome<> walk(Session* session, UniqueFd top, Order order, Visitor& visitor);

}  // namespace plybox

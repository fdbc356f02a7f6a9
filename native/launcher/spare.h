// Namespaces made ahead, while the launcher has nothing else to do: a network namespace with its loopback up, and a
// user namespace whose id map is written when a sandbox takes it. Each serves one sandbox; what a launch does not find
// ready it makes and waits for.
#pragma once
#include <sys/types.h>

#include <vector>

#include "common/result.h"
#include "common/unique-fd.h"
#include "launcher/user-namespace.h"

namespace plybox {

struct Namespaces {
  UniqueFd user;
  UniqueFd network;
};

class Spare {
 public:
  // Begins to make the next pair where there is none, and reaps holders that have ended. Does not wait.
  void prepare();
  // Waits for the holders that are ending, and reaps them.
  void settle();
  // Whether every holder has been reaped.
  bool settled() const { return ended_.empty(); }
  // The pair, mapped; none is left after it.
  Result<Namespaces> take(IdMap ids);

 private:
  Result<> begin();
  void end_holder();

  // The process that holds the namespaces until they have been opened and mapped.
  pid_t holder_ = 0;
  UniqueFd ready_;
  std::vector<pid_t> ended_;
};

}  // namespace plybox

#pragma once
#include <sys/types.h>

#include <cstddef>

#include "common/syscalls.h"

namespace plybox {

struct Stack {
  char* bottom;
  size_t size;
};

// Memory for one child at a time. Below lies what nobody may touch, so that a child which needs more ends by that and
// does no harm. `bottom` is null where there is no memory.
Stack make_stack();

// clone3() for a child that shares this process's memory (CLONE_VM), which the C library has no function for: runs
// `child(argument)` on the given stack; `child` does not return. Answers -1 and sets errno on failure; ENOSYS on a
// processor for which there is no code here.
pid_t clone_on(Stack stack, sys::CloneArgs args, int (*child)(void*), void* argument);

}  // namespace plybox

#pragma once
#include <sys/types.h>

#include <cstddef>

namespace plybox {

// clone() into the version 2 cgroup whose directory is `cgroup`, which the C library has no function for: runs
// `child(argument)` on the given stack; `child` does not return. Answers -1 and sets errno on failure; ENOSYS on a
// processor for which there is no code here.
pid_t clone_into(int cgroup, unsigned long flags, char* stack, size_t stack_size, int (*child)(void*), void* argument);

}  // namespace plybox

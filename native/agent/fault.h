// Faults for tests: `--fail-at STEP` makes a step of a command's start fail with EIO, the next time that it is reached
// and then no more. A launcher hands it on only when it was started with --allow-fault-injection; nothing inside can
// set it.
#pragma once
#include <cerrno>

namespace plybox {

inline const char* armed_fault = nullptr;

// Plain memory and errno, so that a child which borrows the agent's memory may ask as well.
__attribute__((no_sanitize("address", "undefined"))) inline bool fault_at(const char* step) {
  if (armed_fault == nullptr) return false;
  for (const char *a = armed_fault, *b = step;; a++, b++) {
    if (*a != *b) return false;
    if (*a == '\0') break;
  }
  armed_fault = nullptr;
  errno = EIO;
  return true;
}

}  // namespace plybox

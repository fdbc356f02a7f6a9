#pragma once
#include <cstddef>

namespace plybox {

// Where output is read that nobody keeps. One for all: the agent has one thread, and its memory is counted.
constexpr size_t kScratchBytes = 65536;
inline char scratch[kScratchBytes];

}  // namespace plybox

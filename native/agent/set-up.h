// What both kinds of agent do first, to be independent of what started them.
#pragma once
#include <vector>

#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox {

// Descriptors 0, 1 and 2 are taken from then on.
Result<UniqueFd> open_null_device();
// Closes every descriptor above 2 that is not among `kept`.
void close_others(std::vector<int> kept);
UniqueFd adopt(int fd);
// Answers a signalfd of SIGCHLD, SIGTERM and SIGINT.
Result<UniqueFd> block_signals();
// Not to be read, traced or dumped by anyone inside, and the parent of orphans.
void guard_process();

}  // namespace plybox

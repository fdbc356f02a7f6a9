// Loop devices, which show a file as a disk. The kernel frees one of ours with its last user.
#pragma once
#include <string>

#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox {

struct LoopDevice {
  UniqueFd fd;  // keeps the device until it is mounted
  char path[32];
};

// A device of its own for an image that nobody writes to.
Result<LoopDevice> attach_readonly(const std::string& image);

// Direct where the file system beneath can: otherwise every page is in memory twice, and written twice.
enum class LoopWrites { kBuffered, kDirect };

// The device of an image that is written to. One image never has two: what is shown twice is written over twice.
Result<LoopDevice> attach_writable(const std::string& image, LoopWrites writes = LoopWrites::kDirect);

}  // namespace plybox

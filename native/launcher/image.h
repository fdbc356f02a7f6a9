// Layer images: mounted read-only through a loop device that the kernel frees with the last mount.
#pragma once
#include <string>

#include "common/result.h"

namespace plybox {

// Mounts `image` on the directory `target`, which is made where it is missing. EBUSY with step "already-mounted" where
// something is mounted.
Result<> mount_image(const std::string& image, const std::string& format, const std::string& target);

// Takes off what is mounted on `target`; nothing there counts as done.
Result<> unmount(const std::string& target);

}  // namespace plybox

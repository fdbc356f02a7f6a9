#pragma once

namespace plybox {

// Brings the loopback interface of the calling process's network namespace up. False: errno says why not.
bool raise_loopback();

}  // namespace plybox

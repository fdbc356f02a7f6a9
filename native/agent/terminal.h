// A pseudo-terminal for a command.
#pragma once
#include <cstdint>

#include "common/result.h"
#include "common/unique-fd.h"

namespace plybox {

struct TerminalSize {
  uint16_t columns;
  uint16_t rows;
};

struct Terminal {
  UniqueFd master;  // does not block
  UniqueFd slave;
};

// A new terminal from the sandbox's own /dev/ptmx. `owner` may open it again by its name.
Result<Terminal> open_terminal(TerminalSize size, uint32_t owner);
Result<> resize_terminal(int master, TerminalSize size);
// The character that a reader in canonical mode takes for the end of input; NUL where there is none.
char end_of_input(int master);

}  // namespace plybox

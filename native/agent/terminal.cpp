#include "agent/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "agent/fault.h"

namespace plybox {
namespace {

#ifndef TIOCGPTPEER
constexpr unsigned long kGetPeer = 0x5441;
#else
constexpr unsigned long kGetPeer = TIOCGPTPEER;
#endif

}  // namespace

Result<Terminal> open_terminal(TerminalSize size, uint32_t owner) {
  Terminal terminal;
  // O_NOCTTY throughout: the terminal must become the command's, not the agent's.
  terminal.master = UniqueFd(fault_at("ptmx") ? -1 : open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (!terminal.master) return Failure::here("ptmx");
  int unlocked = 0;
  if (fault_at("unlock-terminal") || ioctl(terminal.master.get(), TIOCSPTLCK, &unlocked) != 0)
    return Failure::here("unlock-terminal");
  // Opened through the master: a path below /dev/pts could be anything by now.
  terminal.slave = UniqueFd(ioctl(terminal.master.get(), kGetPeer, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (fault_at("open-terminal") || !terminal.slave) return Failure::here("open-terminal");
  // Where it fails the command still has its terminal open.
  (void)!fchown(terminal.slave.get(), owner, static_cast<gid_t>(-1));
  if (Result<> resized = resize_terminal(terminal.master.get(), size); !resized) return resized.failure();
  return terminal;
}

Result<> resize_terminal(int master, TerminalSize size) {
  winsize window{size.rows, size.columns, 0, 0};
  if (fault_at("resize-terminal") || ioctl(master, TIOCSWINSZ, &window) != 0) return Failure::here("resize-terminal");
  return {};
}

char end_of_input(int master) {
  termios settings;
  if (tcgetattr(master, &settings) != 0 || (settings.c_lflag & ICANON) == 0) return '\0';
  return static_cast<char>(settings.c_cc[VEOF]);
}

}  // namespace plybox

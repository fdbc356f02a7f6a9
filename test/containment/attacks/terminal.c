// Terminals.
#include <fcntl.h>
#include <linux/tiocl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "attack.h"

// Types a character into a terminal of its own, as if a user had.
static int type_on_own_terminal(char** arguments) {
  (void)arguments;
  int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) return broken("openpt");
  int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
  if (terminal < 0) return broken("open");
  if (setsid() < 0 || ioctl(terminal, TIOCSCTTY, 0) != 0) return broken("TIOCSCTTY");
  return outcome("TIOCSTI", ioctl(terminal, TIOCSTI, "x"));
}

static int type(char** arguments) { return in_child(type_on_own_terminal, arguments); }

// Asks the console for its shift keys, by the call that also pastes its selection.
static int console(char** arguments) {
  (void)arguments;
  int fd = open("/dev/tty0", O_RDWR | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return refused("open");
  char code = TIOCL_GETSHIFTSTATE;
  return outcome("TIOCLINUX", ioctl(fd, TIOCLINUX, &code));
}

static int hang_up_own(char** arguments) {
  (void)arguments;
  if (setsid() < 0) return broken("setsid");
  return outcome("vhangup", vhangup());
}

// Hangs up the terminal that a session of its own does not have.
static int hang_up(char** arguments) { return in_child(hang_up_own, arguments); }

const struct attack terminal_attacks[] = {
    {"type", type},
    {"console", console},
    {"hang-up", hang_up},
    END_OF_ATTACKS,
};

#include "attack.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// A hung attack is a broken one.
enum { HANG_SECONDS = 30 };

int succeeded(void) {
  puts("succeeded");
  return SUCCEEDED;
}

int refused_because(const char* step, const char* reason) {
  printf("refused %s %s\n", step, reason);
  return REFUSED;
}

int refused(const char* step) { return refused_because(step, strerrorname_np(errno)); }

int broken(const char* step) {
  printf("broken %s %s\n", step, strerrorname_np(errno));
  return BROKEN;
}

int outcome(const char* step, long result) { return result < 0 ? refused(step) : succeeded(); }

int in_child(int (*attack)(char** arguments), char** arguments) {
  fflush(stdout);
  pid_t child = fork();
  if (child < 0) return broken("fork");
  if (child == 0) exit(attack(arguments));
  int status;
  if (waitpid(child, &status, 0) != child) return broken("waitpid");
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  // The signal becomes this process's own, so that who runs it learns of a seccomp kill.
  if (WIFSIGNALED(status)) {
    signal(WTERMSIG(status), SIG_DFL);
    raise(WTERMSIG(status));
  }
  return BROKEN;
}

const char* make_directory(const char* parent) {
  static char name[512];
  snprintf(name, sizeof(name), "%s/plybox-XXXXXX", parent);
  return mkdtemp(name);
}

int start_victim(void) {
  int ready[2];
  pid_t parent = getpid();
  if (pipe(ready) != 0) return -1;
  pid_t child = fork();
  if (child == 0) {
    // Before it is told of: a victim that is stopped at once would not come to it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || write(ready[1], "", 1) != 1) _exit(1);
    for (;;) pause();
  }
  char byte;
  close(ready[1]);
  if (child > 0 && read(ready[0], &byte, 1) != 1) child = -1;
  close(ready[0]);
  return child;
}

int victim_of(const char* argument) { return strcmp(argument, "child") == 0 ? start_victim() : atoi(argument); }

int main(int count, char** arguments) {
  const struct attack* const tables[] = {
      device_attacks,    file_attacks,    ipc_attacks,     kernel_attacks,  mount_attacks,
      namespace_attacks, network_attacks, process_attacks, syscall_attacks, terminal_attacks,
  };
  if (count < 2) return BROKEN;
  alarm(HANG_SECONDS);
  for (size_t table = 0; table < sizeof(tables) / sizeof(*tables); table++)
    for (const struct attack* attack = tables[table]; attack->name != NULL; attack++)
      if (strcmp(attack->name, arguments[1]) == 0) return attack->run(arguments + 2);
  printf("broken no attack is called %s\n", arguments[1]);
  return BROKEN;
}

/*
 * Takes all it can get of one thing: guest-bombs forks | storm | memory. Static, for a sandbox that has no Python.
 * `neighbour` forks now and then until its stdin ends, and exits with 3.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  if (strcmp(argv[1], "memory") == 0) {
    for (;;) {
      char* page = malloc(4096);
      if (page == NULL) return 1;
      memset(page, 1, 4096);
    }
  }
  if (strcmp(argv[1], "neighbour") == 0) {
    struct pollfd input = {0, POLLIN, 0};
    while (poll(&input, 1, 20) == 0) {
      pid_t pid = fork();
      if (pid == 0) _exit(0);
      if (pid > 0) waitpid(pid, NULL, 0);
    }
    return 3;
  }
  if (strcmp(argv[1], "storm") == 0) {
    /* Sharing its memory, which makes a refused one cheaper. They share the stack too, of which they use nothing. */
    for (;;) syscall(SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
  }
  for (;;) {
    pid_t pid = fork();
    if (pid < 0) return 1;
    if (pid == 0) pause();
  }
}

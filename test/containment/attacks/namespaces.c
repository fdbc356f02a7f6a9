// Namespaces of one's own, and those of others.
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

static const struct {
  const char *name;
  int flag;
} kinds[] = {
    {"mnt", CLONE_NEWNS},  {"uts", CLONE_NEWUTS},       {"ipc", CLONE_NEWIPC},   {"pid", CLONE_NEWPID},
    {"net", CLONE_NEWNET}, {"cgroup", CLONE_NEWCGROUP}, {"user", CLONE_NEWUSER}, {"time", 0x80},
};

static int flag_of(const char *name) {
  for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
    if (strcmp(kinds[i].name, name) == 0) return kinds[i].flag;
  return 0;
}

// KIND...: one after the other.
static int leave(char **arguments) {
  for (; *arguments != NULL; arguments++)
    if (unshare(flag_of(*arguments)) != 0) return refused("unshare");
  return succeeded();
}

static int end_of_child(const char *step, long child) {
  if (child == 0) _exit(0);
  if (child > 0) waitpid((pid_t)child, NULL, __WALL);
  return outcome(step, child);
}

// KIND: by clone(2), not by what the C library makes of fork.
static int clone_into_new(char **arguments) {
  return end_of_child("clone", syscall(SYS_clone, flag_of(arguments[0]) | SIGCHLD, 0L, NULL, NULL, 0L));
}

// KIND: by clone3(2), whose flags a seccomp filter cannot see.
static int clone3_into_new(char **arguments) {
  struct clone_args how = {.flags = (unsigned)flag_of(arguments[0]), .exit_signal = SIGCHLD};
  return end_of_child("clone3", syscall(SYS_clone3, &how, sizeof(how)));
}

// KIND PID: enters the namespace of another process.
static int enter(char **arguments) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/ns/%s", victim_of(arguments[1]), arguments[0]);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return refused("open");
  return outcome("setns", setns(fd, flag_of(arguments[0])));
}

// KIND PID: the same by a descriptor of the process.
static int enter_by_process(char **arguments) {
  int process = (int)syscall(SYS_pidfd_open, victim_of(arguments[1]), 0);
  if (process < 0) return refused("pidfd_open");
  return outcome("setns", setns(process, flag_of(arguments[0])));
}

// FILE: enters any mount namespace that a descriptor leads to which was left open, and looks for a file outside.
static int enter_by_leak(char **arguments) {
  for (int fd = 3; fd < 1024; fd++)
    if (fcntl(fd, F_GETFD) >= 0 && setns(fd, CLONE_NEWNS) == 0) return outcome("open", open(arguments[0], O_RDONLY));
  return refused_because("setns", "NONE");
}

const struct attack namespace_attacks[] = {
    {"leave", leave}, {"clone-into-new", clone_into_new},     {"clone3-into-new", clone3_into_new},
    {"enter", enter}, {"enter-by-process", enter_by_process}, {"enter-by-leak", enter_by_leak},
    END_OF_ATTACKS,
};

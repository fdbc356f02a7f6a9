// Other processes: their memory, their descriptors, their lives, and a larger share of the machine than theirs.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

// Each takes a pid, or `child` for a victim of its own.
static int attach(char** arguments) {
  return outcome("ptrace", ptrace(PTRACE_ATTACH, victim_of(arguments[0]), NULL, NULL));
}

static int seize(char** arguments) {
  return outcome("ptrace", ptrace(PTRACE_SEIZE, victim_of(arguments[0]), NULL, NULL));
}

// An address of this program, which its victims share. In another program it is as good as any: the question is whether
// the call is allowed, so that EFAULT counts as let in.
static char kPlace[8] = "plybox";

static int outcome_of_copy(const char* step, ssize_t length) {
  return length < 0 && errno == EFAULT ? succeeded() : outcome(step, length);
}

static int read_memory(char** arguments) {
  char copy[8];
  struct iovec own = {copy, sizeof(copy)};
  struct iovec other = {kPlace, sizeof(kPlace)};
  return outcome_of_copy("process_vm_readv", process_vm_readv(victim_of(arguments[0]), &own, 1, &other, 1, 0));
}

static int write_memory(char** arguments) {
  struct iovec own = {kPlace, sizeof(kPlace)};
  struct iovec other = {kPlace, sizeof(kPlace)};
  return outcome_of_copy("process_vm_writev", process_vm_writev(victim_of(arguments[0]), &own, 1, &other, 1, 0));
}

// PID FILE: opens /proc/PID/FILE for reading.
static int open_of(char** arguments) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/%s", victim_of(arguments[0]), arguments[1]);
  return outcome("open", open(path, O_RDONLY));
}

// PID FILE: reads /proc/PID/FILE.
static int read_of(char** arguments) {
  char path[64];
  char byte;
  snprintf(path, sizeof(path), "/proc/%d/%s", victim_of(arguments[0]), arguments[1]);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return refused("open");
  return outcome("read", read(fd, &byte, 1));
}

// PID: opens its program for writing. A running program cannot be written to, which is no wall.
static int write_program(char** arguments) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/exe", victim_of(arguments[0]));
  int fd = open(path, O_WRONLY);
  return fd < 0 && errno == ETXTBSY ? succeeded() : outcome("open", fd);
}

// PID: has a program that whoever gets hold of it may write to once it has ended, rather than one that is sealed.
static int unsealed_program(char** arguments) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/exe", victim_of(arguments[0]));
  int fd = open(path, O_RDONLY);
  if (fd < 0) return broken("open");
  int seals = fcntl(fd, F_GET_SEALS);
  int all = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  return seals >= 0 && (seals & all) == all ? refused_because("seals", "SEALED") : succeeded();
}

static int take_descriptor(char** arguments) {
  int process = (int)syscall(SYS_pidfd_open, victim_of(arguments[0]), 0);
  if (process < 0) return refused("pidfd_open");
  return outcome("pidfd_getfd", syscall(SYS_pidfd_getfd, process, 0, 0));
}

static char state_of(int pid) {
  char path[32];
  char line[512] = "";
  snprintf(path, sizeof(path), "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return 'X';
  ssize_t length = read(fd, line, sizeof(line) - 1);
  close(fd);
  const char* name = length > 0 ? strrchr(line, ')') : NULL;
  return name == NULL ? 'X' : name[2];
}

// PID SIGNAL: sends a signal and looks for its effect, for the kernel accepts those to process 1 and drops them. Any
// other process has the time that a busy machine may take.
static int kill_with(char** arguments) {
  int victim = victim_of(arguments[0]);
  if (kill(victim, atoi(arguments[1])) != 0) return refused("kill");
  int looks = victim == 1 ? 20 : 4000;
  for (int look = 0; look < looks; look++) {
    char state = state_of(victim);
    if (state == 'X' || state == 'Z' || state == 'T' || state == 't') return succeeded();
    usleep(5000);
  }
  return refused_because("kill", "NO_EFFECT");
}

static int real_time(char** arguments) {
  (void)arguments;
  struct sched_param parameter = {.sched_priority = 1};
  return outcome("sched_setscheduler", sched_setscheduler(0, SCHED_FIFO, &parameter));
}

static int deadline(char** arguments) {
  (void)arguments;
  // Only to what may run everywhere, which is no right.
  cpu_set_t everywhere;
  memset(&everywhere, 0xff, sizeof(everywhere));
  if (sched_setaffinity(0, sizeof(everywhere), &everywhere) != 0) return broken("sched_setaffinity");
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } attributes = {.size = 48, .policy = 6, .runtime = 100000, .deadline = 100000000, .period = 100000000};
  return outcome("sched_setattr", syscall(SYS_sched_setattr, 0, &attributes, 0));
}

static int priority(char** arguments) {
  (void)arguments;
  return outcome("setpriority", setpriority(PRIO_PROCESS, 0, -5));
}

static int io_priority(char** arguments) {
  (void)arguments;
  return outcome("ioprio_set", syscall(SYS_ioprio_set, 1, 0, 1 << 13));
}

static int survive_memory(char** arguments) {
  (void)arguments;
  int fd = open("/proc/self/oom_score_adj", O_WRONLY);
  if (fd < 0) return refused("open");
  return outcome("write", write(fd, "-1000", 5));
}

static int raise_limit(char** arguments) {
  (void)arguments;
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return broken("getrlimit");
  limit.rlim_max++;
  return outcome("setrlimit", setrlimit(RLIMIT_NOFILE, &limit));
}

static int lock_memory(char** arguments) {
  (void)arguments;
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  return outcome("setrlimit", setrlimit(RLIMIT_MEMLOCK, &limit));
}

const struct attack process_attacks[] = {
    {"attach", attach},
    {"seize", seize},
    {"read-memory", read_memory},
    {"write-memory", write_memory},
    {"open-of", open_of},
    {"read-of", read_of},
    {"write-program", write_program},
    {"take-descriptor", take_descriptor},
    {"kill", kill_with},
    {"real-time", real_time},
    {"deadline", deadline},
    {"priority", priority},
    {"io-priority", io_priority},
    {"survive-memory", survive_memory},
    {"raise-limit", raise_limit},
    {"lock-memory", lock_memory},
    {"unsealed-program", unsealed_program},
    END_OF_ATTACKS,
};

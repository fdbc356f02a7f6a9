/*
 * The reference side of the benchmarks. It starts programs as a C program would, so that what Node needs to start a
 * process is in no reference figure, and it measures them with one clock on both ends.
 *
 *   reference spawn PROGRAM [ARGUMENT]...
 *       vfork and exec of PROGRAM, a path.
 *   reference floor WORK LOWER[:LOWER]... PROGRAM [ARGUMENT]...
 *       The least that a layered sandbox costs: one clone3 with every namespace but time, id maps, an overlay of the
 *       LOWER directories (topmost first) and a tmpfs upper, /proc, pivot_root, exec of PROGRAM inside. WORK is an
 *       empty directory; what is mounted on it is seen by the started program alone.
 *   reference listen SOCKET PROGRAM [ARGUMENT]...
 *       Writes a line once it listens on a Unix socket, and becomes PROGRAM with that socket as descriptor 3.
 *
 * `spawn` and `floor` answer each line of their standard input with one line. COUNT programs are started
 *
 *   exit COUNT     one after the other: nanoseconds of each until it has ended and is reaped
 *   exec COUNT     one after the other: nanoseconds of each until its program has been entered
 *   burst COUNT    all at once: nanoseconds of each from the first start on until it has ended
 *   hold COUNT     one after the other, each until it has written a byte, and left running: their pids
 *   release        those that are held are killed and reaped: an empty line
 *
 * A failure is answered with `error TEXT`. What was started is gone when standard input ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PROGRAMS = 10000 };

/* Which host ids the floor's user namespace has: any free range costs the same. */
#define ID_MAP "0 1879048192 65536"

struct started {
  pid_t pid;
  /* Reads end of file once the program has been entered; before that, the step that failed. */
  int entered;
};

static char** program;
static const char* work;
static const char* lowers;
static FILE* replies;
static pid_t held[MAX_PROGRAMS];
static size_t held_count;
static pid_t burst_pids[MAX_PROGRAMS];
static uint64_t samples[MAX_PROGRAMS];

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
  exit(1);
}

/* One line for the asker. Always false, so that a failing step ends with `return failed(…)`. */
__attribute__((format(printf, 1, 2))) static int failed(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("error ", replies);
  vfprintf(replies, format, arguments);
  fputc('\n', replies);
  va_end(arguments);
  return 0;
}

/* ---- spawn ---- */

/* Written by the vfork child, which shares our memory. */
static volatile int exec_errno;

static struct started start_spawn(int output) {
  exec_errno = 0;
  pid_t pid = vfork();
  if (pid == 0) {
    if (output >= 0) dup2(output, 1);
    execv(program[0], program);
    exec_errno = errno;
    _exit(127);
  }
  return (struct started){.pid = pid, .entered = -1};
}

/* ---- floor ---- */

static int step_failed(int report, const char* step) {
  dprintf(report, "%s: %s", step, strerror(errno));
  return 1;
}

/* The steps of a sandbox's birth, inside its namespaces; see the top of this file. */
static int floor_child(int mapped, int report, int output) {
  char byte, options[8192], path[4096];
  if (read(mapped, &byte, 1) != 1) return step_failed(report, "waiting for the id maps");
  if (setresgid(0, 0, 0) || setresuid(0, 0, 0)) return step_failed(report, "becoming root");
  if (mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL)) return step_failed(report, "private propagation");
  if (mount("tmpfs", work, "tmpfs", MS_NOSUID | MS_NODEV, "size=64m,mode=755")) return step_failed(report, "tmpfs");
  if (chdir(work)) return step_failed(report, "chdir");
  if (mkdir("upper", 0755) || mkdir("work", 0755) || mkdir("root", 0755)) return step_failed(report, "mkdir");
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work,userxattr", lowers, work, work);
  if (mount("overlay", "root", "overlay", MS_NOSUID | MS_NODEV, options)) return step_failed(report, "overlay");
  snprintf(path, sizeof path, "%s/root/proc", work);
  if (mount("proc", path, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) return step_failed(report, "proc");
  if (chdir("root") || syscall(SYS_pivot_root, ".", ".")) return step_failed(report, "pivot_root");
  if (umount2(".", MNT_DETACH)) return step_failed(report, "detaching the old root");
  if (output >= 0) dup2(output, 1);
  execv(program[0], program);
  return step_failed(report, program[0]);
}

static int write_map(pid_t pid, const char* file) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t written = write(fd, ID_MAP, sizeof ID_MAP - 1);
  close(fd);
  return written < 0 ? -1 : 0;
}

static struct started start_floor(int output) {
  int mapped[2], report[2];
  if (pipe2(mapped, O_CLOEXEC) || pipe2(report, O_CLOEXEC)) die("pipe: %s", strerror(errno));
  struct clone_args request = {
      .flags =
          CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP,
      .exit_signal = SIGCHLD,
  };
  pid_t pid = (pid_t)syscall(SYS_clone3, &request, sizeof request);
  if (pid == 0) {
    close(mapped[1]);
    _exit(floor_child(mapped[0], report[1], output));
  }
  int clone_errno = errno;
  close(mapped[0]);
  close(report[1]);
  if (pid < 0) {
    close(report[0]);
    report[0] = -1;
  } else if (write_map(pid, "uid_map") == 0 && write_map(pid, "gid_map") == 0) {
    /* Without this byte the child ends by itself and names the step. */
    if (write(mapped[1], "", 1) != 1) kill(pid, SIGKILL);
  }
  close(mapped[1]);
  errno = clone_errno;
  return (struct started){.pid = pid, .entered = report[0]};
}

/* ---- requests ---- */

static struct started (*start)(int output) = start_spawn;

/* What a floor child says of a failing step; waits until it has entered its program or ended. */
static int entered(const struct started* it, char* text, size_t size) {
  if (it->entered < 0) {
    snprintf(text, size, "%s", exec_errno == 0 ? "" : strerror(exec_errno));
    return exec_errno == 0;
  }
  ssize_t length = read(it->entered, text, size - 1);
  text[length < 0 ? 0 : length] = 0;
  return length == 0;
}

static int check_end(const struct started* it, int status, const char* text) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 1;
  if (text[0] != 0) return failed("%s", text);
  if (WIFSIGNALED(status)) return failed("%s (pid %d) was killed by signal %d", program[0], it->pid, WTERMSIG(status));
  return failed("%s (pid %d) exited with %d", program[0], it->pid, WEXITSTATUS(status));
}

static int reap(pid_t pid, int* status) {
  while (waitpid(pid, status, 0) != pid)
    if (errno != EINTR) return failed("waitpid: %s", strerror(errno));
  return 1;
}

static int run_one(int until_exec, uint64_t* ns) {
  char text[256];
  int status;
  uint64_t began = now();
  struct started it = start(-1);
  if (it.pid < 0) return failed("start: %s", strerror(errno));
  if (until_exec) {
    entered(&it, text, sizeof text);
    *ns = now() - began;
  }
  if (!reap(it.pid, &status)) return 0;
  if (!until_exec) {
    *ns = now() - began;
    entered(&it, text, sizeof text);
  }
  if (it.entered >= 0) close(it.entered);
  return check_end(&it, status, text);
}

static int run_burst(size_t count) {
  uint64_t began = now();
  size_t running = 0;
  int status, good = 1;
  for (; running < count; running++) {
    struct started it = start(-1);
    if (it.pid < 0) {
      good = failed("start %zu of %zu: %s", running + 1, count, strerror(errno));
      break;
    }
    if (it.entered >= 0) close(it.entered);
    burst_pids[running] = it.pid;
  }
  for (size_t left = running; left > 0;) {
    pid_t pid = waitpid(-1, &status, 0);
    uint64_t ended = now();
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) return failed("waitpid: %s", strerror(errno));
    for (size_t i = 0; i < running; i++) {
      if (burst_pids[i] != pid) continue;
      samples[i] = ended - began;
      left--;
      if (good) good = check_end(&(struct started){.pid = pid}, status, "");
      break;
    }
  }
  return good;
}

static int hold_one(void) {
  int output[2], status;
  char byte, text[256];
  if (held_count == MAX_PROGRAMS) return failed("more than %d programs", MAX_PROGRAMS);
  if (pipe2(output, O_CLOEXEC)) return failed("pipe: %s", strerror(errno));
  struct started it = start(output[1]);
  close(output[1]);
  if (it.pid > 0) held[held_count++] = it.pid;
  int ready = it.pid > 0 && read(output[0], &byte, 1) == 1;
  close(output[0]);
  if (it.entered >= 0 && (ready || entered(&it, text, sizeof text))) text[0] = 0;
  if (it.entered >= 0) close(it.entered);
  if (ready) return 1;
  if (it.pid < 0) return failed("start: %s", strerror(errno));
  held_count--;
  kill(it.pid, SIGKILL);
  return reap(it.pid, &status) && failed("%s wrote nothing", program[0]);
}

static int release(void) {
  int status;
  for (size_t i = 0; i < held_count; i++) kill(held[i], SIGKILL);
  while (held_count > 0)
    if (!reap(held[--held_count], &status)) return 0;
  return 1;
}

static int answer(const char* verb, size_t count) {
  if (strcmp(verb, "release") == 0) {
    if (release()) fputc('\n', replies);
    return 1;
  }
  if (count < 1 || count > MAX_PROGRAMS) return failed("a count from 1 to %d", MAX_PROGRAMS);
  if (strcmp(verb, "burst") == 0) {
    if (!run_burst(count)) return 1;
  } else if (strcmp(verb, "hold") == 0) {
    for (size_t i = 0; i < count; i++) {
      if (!hold_one()) return 1;
      samples[i] = (uint64_t)held[held_count - 1];
    }
  } else if (strcmp(verb, "exit") == 0 || strcmp(verb, "exec") == 0) {
    for (size_t i = 0; i < count; i++)
      if (!run_one(verb[2] == 'e', &samples[i])) return 1;
  } else {
    return failed("unknown request %s", verb);
  }
  for (size_t i = 0; i < count; i++) fprintf(replies, "%s%llu", i == 0 ? "" : " ", (unsigned long long)samples[i]);
  fputc('\n', replies);
  return 1;
}

static void serve(void) {
  char line[128], verb[32];
  size_t count;
  /* Programs get /dev/null without a system call between fork and exec; the answers go to a copy of stdout. */
  int copy = fcntl(1, F_DUPFD_CLOEXEC, 10), requests = fcntl(0, F_DUPFD_CLOEXEC, 10), null = open("/dev/null", O_RDWR);
  if (copy < 0 || requests < 0 || null < 0) die("/dev/null: %s", strerror(errno));
  dup2(null, 0);
  dup2(null, 1);
  if (null > 2) close(null);
  replies = fdopen(copy, "w");
  FILE* input = fdopen(requests, "r");
  while (fgets(line, sizeof line, input) != NULL) {
    count = 0;
    if (sscanf(line, "%31s %zu", verb, &count) < 1)
      failed("an empty request");
    else
      answer(verb, count);
    fflush(replies);
  }
  release();
}

__attribute__((noreturn)) static void listen_and_become(const char* path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) die("%s: too long for a Unix socket", path);
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr*)&address, sizeof address) || listen(fd, 128))
    die("%s: %s", path, strerror(errno));
  if (fd != 3) {
    dup2(fd, 3);
    close(fd);
  }
  if (write(1, "\n", 1) != 1) die("stdout: %s", strerror(errno));
  execv(program[0], program);
  die("%s: %s", program[0], strerror(errno));
}

int main(int argc, char** argv) {
  if (argc >= 3 && strcmp(argv[1], "spawn") == 0) {
    program = argv + 2;
  } else if (argc >= 5 && strcmp(argv[1], "floor") == 0) {
    work = argv[2];
    lowers = argv[3];
    program = argv + 4;
    start = start_floor;
  } else if (argc >= 4 && strcmp(argv[1], "listen") == 0) {
    program = argv + 3;
    listen_and_become(argv[2]);
  } else {
    die("usage: reference spawn PROGRAM… | floor WORK LOWERS PROGRAM… | listen SOCKET PROGRAM…");
  }
  serve();
  return 0;
}

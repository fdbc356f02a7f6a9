/*
 * What is done inside and outside of sandboxes to compare them. Each verb
 * measures by its own clock, so that no start of a program or a sandbox is in
 * its figures, and writes them as one line of nanoseconds.
 *
 *   workload files PASSES [BYTES]
 *       Standard input names files, a path a line. With BYTES, those that are
 * not there are written first, that long. All are opened, read to their end and
 * closed once, and then PASSES times more: the time of each of these passes.
 *
 *   workload compute ROUNDS
 *       ROUNDS of integer and floating-point arithmetic on data that fits the
 * first cache: wall time and processor time.
 *
 *   workload hello
 *       Writes "hello world", and ends when its standard input does; nothing is
 * measured.
 *
 *   workload within FILE PROGRAM [ARGUMENT]...
 *       Joins the cgroup whose file of processes FILE is, and becomes PROGRAM,
 * a path.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FILES = 100000, MAX_PASSES = 1000, BUFFER = 65536, TABLE = 1024 };

static char buffer[BUFFER];
static char* paths[MAX_FILES];

__attribute__((noreturn)) static void die(const char* what) {
  fprintf(stderr, "workload: %s: %s\n", what, strerror(errno));
  exit(1);
}

static uint64_t now(clockid_t clock) {
  struct timespec t;
  if (clock_gettime(clock, &t)) die("clock");
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned long number(const char* text) {
  char* end;
  unsigned long value = strtoul(text, &end, 10);
  errno = EINVAL;
  if (*text == 0 || *end != 0) die(text);
  return value;
}

/* ---- files ---- */

static size_t read_names(void) {
  char line[4096];
  size_t count = 0;
  while (count < MAX_FILES && fgets(line, sizeof line, stdin) != NULL) {
    line[strcspn(line, "\n")] = 0;
    if ((paths[count++] = strdup(line)) == NULL) die("names");
  }
  return count;
}

static void write_file(const char* path, size_t bytes) {
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0 && errno == EEXIST) return;
  if (fd < 0) die(path);
  memset(buffer, 'x', sizeof buffer);
  while (bytes > 0) {
    ssize_t written = write(fd, buffer, bytes < sizeof buffer ? bytes : sizeof buffer);
    if (written <= 0) die(path);
    bytes -= (size_t)written;
  }
  close(fd);
}

static void read_file(const char* path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(path);
  ssize_t got;
  while ((got = read(fd, buffer, sizeof buffer)) > 0) continue;
  if (got < 0) die(path);
  close(fd);
}

static void read_all(size_t count) {
  for (size_t i = 0; i < count; i++) read_file(paths[i]);
}

static void files(unsigned long passes, const char* bytes) {
  uint64_t times[MAX_PASSES];
  size_t count = read_names();
  for (size_t i = 0; bytes != NULL && i < count; i++) write_file(paths[i], number(bytes));
  if (passes > MAX_PASSES) passes = MAX_PASSES;
  read_all(count);
  for (unsigned long pass = 0; pass < passes; pass++) {
    uint64_t began = now(CLOCK_MONOTONIC);
    read_all(count);
    times[pass] = now(CLOCK_MONOTONIC) - began;
  }
  for (unsigned long pass = 0; pass < passes; pass++)
    printf("%s%llu", pass == 0 ? "" : " ", (unsigned long long)times[pass]);
  putchar('\n');
}

/* ---- compute ---- */

static void compute(unsigned long rounds) {
  static uint64_t words[TABLE];
  static double reals[TABLE];
  uint64_t state = 0x9e3779b97f4a7c15u;
  for (size_t i = 0; i < TABLE; i++) reals[i] = (double)(words[i] = (i + 1) * state >> 11);
  uint64_t wall = now(CLOCK_MONOTONIC), processor = now(CLOCK_PROCESS_CPUTIME_ID);
  for (unsigned long round = 0; round < rounds; round++)
    for (size_t i = 0; i < TABLE; i++) {
      state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
      words[state % TABLE] += state * 0x2545f4914f6cdd1du / (i + 3);
      reals[i] = sqrt(reals[i] * 1.0000001 + (double)(words[i] >> 40));
    }
  processor = now(CLOCK_PROCESS_CPUTIME_ID) - processor, wall = now(CLOCK_MONOTONIC) - wall;
  printf("%llu %llu\n", (unsigned long long)wall, (unsigned long long)processor);
  /* What nobody looks at need not be computed. */
  if (words[state % TABLE] == 0 && reals[0] == 0) putchar('\n');
}

/* ---- hello, within ---- */

static void hello(void) {
  if (write(1, "hello world\n", 12) != 12) die("stdout");
  while (read(0, buffer, 1) > 0) continue;
}

static void within(const char* file, char** program) {
  int fd = open(file, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, "0", 1) != 1) die(file);
  execv(program[0], program);
  die(program[0]);
}

int main(int argc, char** argv) {
  const char* verb = argc < 2 ? "" : argv[1];
  if (strcmp(verb, "files") == 0 && (argc == 3 || argc == 4))
    files(number(argv[2]), argv[3]);
  else if (strcmp(verb, "compute") == 0 && argc == 3)
    compute(number(argv[2]));
  else if (strcmp(verb, "hello") == 0 && argc == 2)
    hello();
  else if (strcmp(verb, "within") == 0 && argc >= 4)
    within(argv[2], argv + 3);
  else
    return fprintf(stderr,
                   "usage: workload files PASSES [BYTES] | compute "
                   "ROUNDS | hello | within FILE PROGRAM…\n"),
           2;
  return 0;
}

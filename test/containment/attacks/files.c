// Opening what is there, and what descriptors lead to.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "attack.h"

// PATH MODE: opens for reading (r) or writing (w), and does neither.
static int open_path(char** arguments) {
  int flags = *arguments[1] == 'w' ? O_WRONLY : O_RDONLY;
  return outcome("open", open(arguments[0], flags | O_NONBLOCK | O_NOCTTY));
}

// PATH: reads something of it. An empty file tells nothing.
static int read_path(char** arguments) {
  char record[8];  // what the tables of pages are read in
  int fd = open(arguments[0], O_RDONLY | O_NONBLOCK);
  if (fd < 0) return refused("open");
  ssize_t length = read(fd, record, sizeof(record));
  if (length == 0) return refused_because("read", "EMPTY");
  return outcome("read", length);
}

// PATH: finds an entry in a directory.
static int list(char** arguments) {
  DIR* directory = opendir(arguments[0]);
  if (directory == NULL) return refused("opendir");
  for (struct dirent* entry; (entry = readdir(directory)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) return succeeded();
  return refused_because("readdir", "EMPTY");
}

// PATH: gives a file the mode that it has.
static int change_mode(char** arguments) {
  struct stat status;
  if (stat(arguments[0], &status) != 0) return broken("stat");
  return outcome("chmod", chmod(arguments[0], status.st_mode & 07777));
}

// DIRECTORY NAME: sets an extended attribute on a directory of its own below.
static int attribute(char** arguments) {
  const char* name = make_directory(arguments[0]);
  if (name == NULL) return broken("mkdtemp");
  int result = outcome("setxattr", setxattr(name, arguments[1], "y", 1, 0));
  rmdir(name);
  return result;
}

// A path that leads to `path` from a directory however deep.
static void climb(char* buffer, size_t size, const char* path) {
  *buffer = '\0';
  for (int i = 0; i < 24; i++) strncat(buffer, "../", size - strlen(buffer) - 1);
  strncat(buffer, path, size - strlen(buffer) - 1);
}

// FILE: reaches a file outside through a descriptor that this process was started with.
static int inherited_descriptor(char** arguments) {
  char path[1024];
  climb(path, sizeof(path), arguments[0]);
  for (int fd = 0; fd < 1024; fd++)
    if (openat(fd, path, O_RDONLY) >= 0) return succeeded();
  return refused_because("openat", "NONE");
}

// FILE: reaches it through what /proc shows of the descriptors of process 1.
static int descriptor_of_init(char** arguments) {
  char path[1024];
  char link[64];
  for (int fd = 0; fd < 64; fd++) {
    snprintf(link, sizeof(link), "/proc/1/fd/%d/", fd);
    climb(path, sizeof(path), arguments[0]);
    char whole[1200];
    snprintf(whole, sizeof(whole), "%s%s", link, path);
    if (open(whole, O_RDONLY) >= 0) return succeeded();
    if (errno == EACCES || errno == EPERM) return refused("open");
  }
  return refused_because("open", "NONE");
}

// Any descriptor beyond the standard three.
static int any_descriptor(char** arguments) {
  (void)arguments;
  for (int fd = 3; fd < 4096; fd++)
    if (fcntl(fd, F_GETFD) >= 0) return succeeded();
  return refused_because("fcntl", "NONE");
}

// DIRECTORY FILE: leaves a chroot by the classic way, a directory held open while a second chroot goes below it.
static int leave_chroot(char** arguments) {
  char path[1024];
  climb(path, sizeof(path), arguments[1]);
  const char* name = make_directory(arguments[0]);
  if (name == NULL || chdir(arguments[0]) != 0) return broken("mkdtemp");
  int jailed = chroot(name);
  rmdir(strrchr(name, '/') + 1);  // from the directory above, which is outside
  if (jailed != 0) return refused("chroot");
  return outcome("open", open(path, O_RDONLY));
}

struct handle {
  struct file_handle head;
  unsigned char bytes[MAX_HANDLE_SZ];
};

// Reads TYPE:HEX.
static int parse_handle(const char* text, struct handle* handle) {
  const char* hex = strchr(text, ':');
  if (hex == NULL) return -1;
  handle->head.handle_type = atoi(text);
  handle->head.handle_bytes = 0;
  for (hex++; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
    unsigned byte;
    if (sscanf(hex, "%2x", &byte) != 1) return -1;
    handle->head.f_handle[handle->head.handle_bytes++] = (unsigned char)byte;
  }
  return 0;
}

// MOUNT HANDLE: opens what has the handle outside: a file, through any mount of its file system, or what lies in a file
// system of the kernel's own, whose number stands for the mount.
static int open_by_handle(char** arguments) {
  struct handle handle;
  if (parse_handle(arguments[1], &handle) != 0) return BROKEN;
  int mount = *arguments[0] == '-' ? atoi(arguments[0]) : open(arguments[0], O_RDONLY | O_DIRECTORY);
  if (mount == -1) return broken("open");
  return outcome("open_by_handle_at", open_by_handle_at(mount, &handle.head, O_RDONLY));
}

static int print_handle(int directory, const char* path, int flags) {
  struct handle handle = {.head.handle_bytes = MAX_HANDLE_SZ};
  int mount;
  if (name_to_handle_at(directory, path, &handle.head, &mount, flags) != 0) return broken("name_to_handle_at");
  printf("%d:", handle.head.handle_type);
  for (unsigned i = 0; i < handle.head.handle_bytes; i++) printf("%02x", handle.head.f_handle[i]);
  putchar('\n');
  return SUCCEEDED;
}

// FILE: prints its handle. No attack, but what the attack above is given.
static int handle_of(char** arguments) { return print_handle(AT_FDCWD, arguments[0], AT_SYMLINK_FOLLOW); }

// PID: the handle of a process.
static int handle_of_process(char** arguments) {
  int process = (int)syscall(SYS_pidfd_open, atoi(arguments[0]), 0);
  if (process < 0) return broken("pidfd_open");
  return print_handle(process, "", AT_EMPTY_PATH);
}

// ONE OTHER: no attack by itself. Exchanges two paths as fast as it can until its input ends.
static int swap(char** arguments) {
  struct pollfd input = {.fd = 0, .events = POLLIN};
  do {
    if (renameat2(AT_FDCWD, arguments[0], AT_FDCWD, arguments[1], RENAME_EXCHANGE) != 0) return broken("renameat2");
    static int isFirst = 1;
    if (isFirst) puts("swapping");
    if (isFirst) fflush(stdout);
    isFirst = 0;
  } while (poll(&input, 1, 0) == 0);
  return SUCCEEDED;
}

const struct attack file_attacks[] = {
    {"open", open_path},
    {"read", read_path},
    {"list", list},
    {"change-mode", change_mode},
    {"attribute", attribute},
    {"inherited-descriptor", inherited_descriptor},
    {"descriptor-of-init", descriptor_of_init},
    {"any-descriptor", any_descriptor},
    {"leave-chroot", leave_chroot},
    {"open-by-handle", open_by_handle},
    {"swap", swap},
    {"handle-of", handle_of},
    {"handle-of-process", handle_of_process},
    END_OF_ATTACKS,
};

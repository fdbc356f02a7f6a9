// The mount table, by the old calls and by the new ones.
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

// glibc's <sys/mount.h> and <linux/mount.h> of this age exclude one another.
int mount(const char*, const char*, const char*, unsigned long, const void*);
int umount2(const char*, int);

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif

// Mounts an overlay of two directories that lie on a tmpfs of its own.
static int mount_overlay(const char* point) {
  char layers[2][600];
  char options[1300];
  if (mount("none", point, "tmpfs", 0, "") != 0) return -1;
  for (int i = 0; i < 2; i++) {
    snprintf(layers[i], sizeof(layers[i]), "%s/%d", point, i);
    if (mkdir(layers[i], 0700) != 0) return -1;
  }
  snprintf(options, sizeof(options), "lowerdir=%s:%s", layers[0], layers[1]);
  return mount("none", point, "overlay", 0, options);
}

// TYPE: mounts one on a directory of its own.
static int mount_type(char** arguments) {
  const char* point = make_directory("/tmp");
  if (point == NULL) return broken("mkdtemp");
  const char* options = strcmp(arguments[0], "cgroup") == 0 ? "pids" : "";
  int mounted =
      strcmp(arguments[0], "overlay") == 0 ? mount_overlay(point) : mount("none", point, arguments[0], 0, options);
  int result = outcome("mount", mounted);
  while (umount2(point, MNT_DETACH) == 0) continue;
  rmdir(point);
  return result;
}

// FROM TO
static int bind_mount(char** arguments) {
  return outcome("mount", mount(arguments[0], arguments[1], NULL, MS_BIND | MS_REC, NULL));
}

// POINT: makes a read-only mount writable.
static int remount_writable(char** arguments) {
  return outcome("mount", mount(NULL, arguments[0], NULL, MS_REMOUNT | MS_BIND, NULL));
}

// POINT
static int unmount(char** arguments) { return outcome("umount2", umount2(arguments[0], MNT_DETACH)); }

// POINT: makes it a peer of what is mounted outside.
static int share(char** arguments) {
  return outcome("mount", mount(NULL, arguments[0], NULL, MS_SHARED | MS_REC, NULL));
}

// POINT: makes the root an old root below itself.
static int pivot(char** arguments) {
  if (chdir(arguments[0]) != 0) return broken("chdir");
  return outcome("pivot_root", syscall(SYS_pivot_root, ".", "."));
}

// TYPE
static int open_type(char** arguments) { return outcome("fsopen", syscall(SYS_fsopen, arguments[0], 0)); }

// POINT
static int pick(char** arguments) { return outcome("fspick", syscall(SYS_fspick, AT_FDCWD, arguments[0], 0)); }

// PATH: a copy of a mount that is in no table.
static int copy_tree(char** arguments) {
  return outcome("open_tree", syscall(SYS_open_tree, AT_FDCWD, arguments[0], OPEN_TREE_CLONE));
}

// FROM TO: moves a mount away.
static int move(char** arguments) {
  return outcome("move_mount", syscall(SYS_move_mount, AT_FDCWD, arguments[0], AT_FDCWD, arguments[1], 0));
}

// POINT: makes a read-only mount writable by the new call.
static int set_attributes(char** arguments) {
  struct mount_attr attributes = {.attr_clr = MOUNT_ATTR_RDONLY};
  return outcome("mount_setattr",
                 syscall(SYS_mount_setattr, AT_FDCWD, arguments[0], 0, &attributes, sizeof(attributes)));
}

static int mount_with_rights(char** arguments) {
  unsigned uid = getuid();
  unsigned gid = getgid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) != 0) return refused("unshare");
  char map[64];
  int length = snprintf(map, sizeof(map), "0 %u 1", uid);
  int fd = open("/proc/self/uid_map", O_WRONLY);
  if (fd < 0 || write(fd, map, (size_t)length) != length) return refused("uid_map");
  fd = open("/proc/self/setgroups", O_WRONLY);
  if (fd >= 0 && write(fd, "deny", 4) != 4) return refused("setgroups");
  length = snprintf(map, sizeof(map), "0 %u 1", gid);
  fd = open("/proc/self/gid_map", O_WRONLY);
  if (fd < 0 || write(fd, map, (size_t)length) != length) return refused("gid_map");
  return in_child(mount_type, arguments);
}

// TYPE: mounts one as root of a user namespace of its own.
static int mount_in_user_namespace(char** arguments) { return in_child(mount_with_rights, arguments); }

const struct attack mount_attacks[] = {
    {"mount", mount_type},
    {"bind-mount", bind_mount},
    {"remount-writable", remount_writable},
    {"unmount", unmount},
    {"share", share},
    {"pivot", pivot},
    {"open-type", open_type},
    {"pick", pick},
    {"copy-tree", copy_tree},
    {"move", move},
    {"set-attributes", set_attributes},
    {"mount-in-user-namespace", mount_in_user_namespace},
    END_OF_ATTACKS,
};

// System calls that musl has no function for, and the mount calls, whose names glibc's <sys/mount.h> and the kernel's
// <linux/mount.h> both define: include this instead of <sys/mount.h>. Each answers -1 and sets errno on failure.
#pragma once
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

// linux/sched.h and glibc's <sched.h> both name the clone flags; only these are needed beside musl's own.
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

// <sys/mount.h> has these two, and may not be included beside <linux/mount.h>.
#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#ifndef UMOUNT_NOFOLLOW
#define UMOUNT_NOFOLLOW 8
#endif

namespace plybox::sys {

// struct clone_args of linux/sched.h, version 2: with the cgroup.
struct CloneArgs {
  uint64_t flags = 0;
  uint64_t pidfd = 0;
  uint64_t child_tid = 0;
  uint64_t parent_tid = 0;
  uint64_t exit_signal = SIGCHLD;
  uint64_t stack = 0;
  uint64_t stack_size = 0;
  uint64_t tls = 0;
  uint64_t set_tid = 0;
  uint64_t set_tid_size = 0;
  uint64_t cgroup = 0;
};

// As fork: answers 0 in the child. Only for flags without CLONE_VM, whose child needs a stack of its own.
inline pid_t clone3(CloneArgs& args) { return static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof(args))); }

inline int pidfd_open(pid_t pid, unsigned flags) { return static_cast<int>(syscall(SYS_pidfd_open, pid, flags)); }
inline int pidfd_send_signal(int pidfd, int signal) {
  return static_cast<int>(syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}
inline int execveat(int directory, const char* path, char* const* argv, char* const* environment, int flags) {
  return static_cast<int>(syscall(SYS_execveat, directory, path, argv, environment, flags));
}
inline int close_range(unsigned first, unsigned last, unsigned flags) {
  return static_cast<int>(syscall(SYS_close_range, first, last, flags));
}
inline int openat2(int directory, const char* path, const open_how& how) {
  return static_cast<int>(syscall(SYS_openat2, directory, path, &how, sizeof(how)));
}
inline int memfd_create(const char* name, unsigned flags) {
  return static_cast<int>(syscall(SYS_memfd_create, name, flags));
}
inline int pivot_root(const char* new_root, const char* put_old) {
  return static_cast<int>(syscall(SYS_pivot_root, new_root, put_old));
}

inline int mount(const char* source, const char* target, const char* type, unsigned long flags, const void* data) {
  return static_cast<int>(syscall(SYS_mount, source, target, type, flags, data));
}
inline int umount2(const char* target, int flags) { return static_cast<int>(syscall(SYS_umount2, target, flags)); }
inline int fsopen(const char* type, unsigned flags) { return static_cast<int>(syscall(SYS_fsopen, type, flags)); }
inline int fsconfig(int context, unsigned command, const char* key, const void* value, int extra) {
  return static_cast<int>(syscall(SYS_fsconfig, context, command, key, value, extra));
}
inline int fsmount(int context, unsigned flags, unsigned attributes) {
  return static_cast<int>(syscall(SYS_fsmount, context, flags, attributes));
}
inline int open_tree(int directory, const char* path, unsigned flags) {
  return static_cast<int>(syscall(SYS_open_tree, directory, path, flags));
}
inline int move_mount(int from, const char* from_path, int to, const char* to_path, unsigned flags) {
  return static_cast<int>(syscall(SYS_move_mount, from, from_path, to, to_path, flags));
}
inline int mount_setattr(int directory, const char* path, unsigned flags, const mount_attr& attributes) {
  return static_cast<int>(syscall(SYS_mount_setattr, directory, path, flags, &attributes, sizeof(attributes)));
}

}  // namespace plybox::sys

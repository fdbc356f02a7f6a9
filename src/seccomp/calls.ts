/**
 * System calls by what they are for. Only those of 64-bit architectures: calls of any other kill the process. A name
 * that one architecture lacks is passed over there.
 */
export const FILES = [
  ...["access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3"],
  ...["faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown"],
  ...["fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr", "fsetxattr", "fstat"],
  ...["fstatfs", "fsync", "ftruncate", "futimesat", "getcwd", "getdents", "getdents64", "getxattr", "lchown"],
  ...["lgetxattr", "link", "linkat", "listxattr", "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat"],
  ...["memfd_create", "mkdir", "mkdirat", "mknod", "mknodat", "newfstatat", "open", "openat", "openat2", "pipe"],
  ...["pipe2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink"],
  ...["readlinkat", "readv", "removexattr", "rename", "renameat", "renameat2", "rmdir", "sendfile", "setxattr"],
  ...["splice", "stat", "statfs", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "tee"],
  ...["truncate", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "write", "writev"],
  ...["setxattrat", "getxattrat", "listxattrat", "removexattrat", "file_getattr", "file_setattr", "cachestat"],
];

export const WAITING = [
  ...["epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2"],
  ...["futex", "futex_waitv", "futex_wake", "futex_wait", "futex_requeue", "get_robust_list", "set_robust_list"],
  ...["inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch", "pause", "poll", "ppoll", "pselect6"],
  ...["restart_syscall", "select", "signalfd", "signalfd4"],
];

export const MEMORY = [
  ...["brk", "madvise", "membarrier", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mprotect", "mremap", "mseal"],
  ...["msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect", "remap_file_pages"],
  ...["map_shadow_stack"],
];

export const PROCESSES = [
  ...["arch_prctl", "execve", "execveat", "exit", "exit_group", "fork", "get_thread_area", "getcpu", "getpgid"],
  ...["getpgrp", "getpid", "getppid", "getpriority", "getrandom", "getrlimit", "getrusage", "getsid", "gettid", "kill"],
  ...["pidfd_open", "pidfd_send_signal", "prctl", "prlimit64", "process_mrelease", "rseq", "sched_get_priority_max"],
  ...["sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler"],
  ...["sched_rr_get_interval", "sched_setaffinity", "sched_yield", "set_thread_area", "set_tid_address", "setpgid"],
  ...["setpriority", "setrlimit", "setsid", "sysinfo", "tgkill", "times", "tkill", "uname", "vfork", "wait4", "waitid"],
];

export const SIGNALS = [
  ...["rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend"],
  ...["rt_sigtimedwait", "rt_tgsigqueueinfo", "sigaltstack"],
];

export const TIME = [
  ...["alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "getitimer", "gettimeofday", "nanosleep"],
  ...["setitimer", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime"],
  ...["timerfd_create", "timerfd_gettime", "timerfd_settime"],
];

/** Of users, and of the capabilities that are there. */
export const IDENTITY = [
  ...["capget", "capset", "getegid", "geteuid", "getgid", "getgroups", "getresgid", "getresuid", "getuid", "setfsgid"],
  ...["setfsuid", "setgid", "setgroups", "setregid", "setresgid", "setresuid", "setreuid", "setuid"],
];

export const SOCKETS = [
  ...["accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom"],
  ...["recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair"],
];

/** System V's and POSIX's; the sandbox has a namespace of its own for them. */
export const MESSAGES = [
  ...["mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "msgctl", "msgget"],
  ...["msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop", "shmat", "shmctl", "shmdt", "shmget"],
];

/** What a program narrows itself with. */
export const SELF_CONFINEMENT = [
  ...["landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "seccomp"],
];

/** Wanted by some programs, done without by most: debuggers, package managers, databases. */
export const UNCOMMON = [
  ...["adjtimex", "chroot", "clock_adjtime", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup"],
  ...["io_submit", "ioprio_get", "ioprio_set", "memfd_secret", "name_to_handle_at", "process_vm_readv"],
  ...["process_vm_writev", "ptrace", "sched_setattr", "sched_setparam", "sched_setscheduler"],
];

/** Changes what is mounted where. */
export const MOUNTS = [
  ...["fsconfig", "fsmount", "fsopen", "fspick", "mount", "mount_setattr", "move_mount", "open_tree", "pivot_root"],
  ...["umount2", "open_tree_attr"],
];

/** What only the owner of a machine has a use for. */
export const MACHINE = [
  ...["acct", "clock_settime", "create_module", "delete_module", "finit_module", "get_kernel_syms", "init_module"],
  ...["ioperm", "iopl", "kexec_file_load", "kexec_load", "lookup_dcookie", "nfsservctl", "query_module", "quotactl"],
  ...["quotactl_fd", "reboot", "setdomainname", "sethostname", "settimeofday", "swapoff", "swapon", "syslog"],
  ...["sysfs", "_sysctl", "uselib", "ustat", "vhangup"],
];

/** Keyrings are those of a user of the machine, who may be the one that runs the daemon: no namespace keeps them apart. */
export const KEYRINGS = ["add_key", "keyctl", "request_key"];

/** Where kernels have been broken out of, or what reaches beyond the caller's own processes and files. */
export const RISKS = [
  ...KEYRINGS,
  ...["bpf", "fanotify_init", "fanotify_mark", "get_mempolicy", "io_uring_enter", "io_uring_register"],
  ...["io_uring_setup", "kcmp", "mbind", "migrate_pages", "modify_ldt", "move_pages", "open_by_handle_at"],
  ...["perf_event_open", "pidfd_getfd", "process_madvise", "set_mempolicy"],
  ...["set_mempolicy_home_node", "setns", "userfaultfd", "vmsplice"],
];

/** Calls that are younger than the library that compiles filters may be; one number on every architecture. */
export const NUMBERS: Readonly<Record<string, number>> = {
  ...{ cachestat: 451, fchmodat2: 452, map_shadow_stack: 453, futex_wake: 454, futex_wait: 455, futex_requeue: 456 },
  ...{ statmount: 457, listmount: 458, lsm_get_self_attr: 459, lsm_set_self_attr: 460, lsm_list_modules: 461 },
  ...{ mseal: 462, setxattrat: 463, getxattrat: 464, listxattrat: 465, removexattrat: 466, open_tree_attr: 467 },
  ...{ file_getattr: 468, file_setattr: 469, process_madvise: 440, epoll_pwait2: 441, mount_setattr: 442 },
  ...{ quotactl_fd: 443, landlock_create_ruleset: 444, landlock_add_rule: 445, landlock_restrict_self: 446 },
  ...{ memfd_secret: 447, process_mrelease: 448, futex_waitv: 449, set_mempolicy_home_node: 450 },
};

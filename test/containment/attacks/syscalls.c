// Calls that widen what of the kernel can be attacked, and other machines' calling conventions.
#include <asm/ldt.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fanotify.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

static int bpf_map(char** arguments) {
  (void)arguments;
  union bpf_attr attributes = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
  return outcome("bpf", syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes)));
}

static int bpf_program(char** arguments) {
  (void)arguments;
  // return 0
  struct bpf_insn program[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0}, {.code = BPF_JMP | BPF_EXIT}};
  union bpf_attr attributes = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
                               .insns = (unsigned long)program,
                               .insn_cnt = 2,
                               .license = (unsigned long)"GPL"};
  return outcome("bpf", syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes)));
}

static int perf_event(char** arguments) {
  (void)arguments;
  struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE,
                                       .size = sizeof(attributes),
                                       .config = PERF_COUNT_SW_CPU_CLOCK,
                                       .disabled = 1,
                                       .exclude_kernel = 1};
  return outcome("perf_event_open", syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0UL));
}

static int user_faults(char** arguments) {
  (void)arguments;
  return outcome("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
}

static int io_ring(char** arguments) {
  (void)arguments;
  struct io_uring_params parameters = {0};
  return outcome("io_uring_setup", syscall(SYS_io_uring_setup, 4, &parameters));
}

static int add_key(char** arguments) {
  (void)arguments;
  return outcome("add_key", syscall(SYS_add_key, "user", "plybox-probe", "x", 1L, KEY_SPEC_PROCESS_KEYRING));
}

static int request_key(char** arguments) {
  (void)arguments;
  // Nobody has it and, without text to call out with, nobody is asked to make it.
  long key = syscall(SYS_request_key, "user", "plybox-none", NULL, 0);
  return key < 0 && errno == ENOKEY ? succeeded() : outcome("request_key", key);
}

static int join_session(char** arguments) {
  (void)arguments;
  return outcome("keyctl", syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
}

// SERIAL: reads a key of the host.
static int read_key(char** arguments) {
  char content[64];
  return outcome("keyctl", syscall(SYS_keyctl, KEYCTL_READ, atoi(arguments[0]), content, sizeof(content)));
}

// TEXT: no attack. Puts a key into the user's keyring for as long as its input is open, and prints its serial.
static int hold_key(char** arguments) {
  alarm(0);
  long key = syscall(SYS_add_key, "user", arguments[0], "secret", 6L, KEY_SPEC_USER_KEYRING);
  if (key < 0) return broken("add_key");
  // Its user may do everything with it.
  if (syscall(SYS_keyctl, KEYCTL_SETPERM, key, 0x3f3f0000) != 0) return broken("keyctl");
  printf("%ld\n", key);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) continue;
  syscall(SYS_keyctl, KEYCTL_INVALIDATE, key);
  return SUCCEEDED;
}

static int watch_permissions(char** arguments) {
  (void)arguments;
  return outcome("fanotify_init", fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY));
}

static int io_privilege(char** arguments) {
  (void)arguments;
  return outcome("iopl", iopl(3));
}

static int io_port(char** arguments) {
  (void)arguments;
  // The port of delays, which nothing listens on.
  return outcome("ioperm", ioperm(0x80, 1, 1));
}

static int change_segments(char** arguments) {
  (void)arguments;
  struct user_desc segment = {.entry_number = 0, .limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1};
  return outcome("modify_ldt", syscall(SYS_modify_ldt, 0x11, &segment, sizeof(segment)));
}

static int fixed_addresses(char** arguments) {
  (void)arguments;
  return outcome("personality", personality(ADDR_NO_RANDOMIZE));
}

static int compare_kernel_objects(char** arguments) {
  int victim = victim_of(arguments[0]);
  return outcome("kcmp", syscall(SYS_kcmp, getpid(), victim, 1 /* KCMP_VM */, 0L, 0L));
}

static int memory_policy(char** arguments) {
  (void)arguments;
  return outcome("set_mempolicy", syscall(SYS_set_mempolicy, 0 /* MPOL_DEFAULT */, NULL, 0L));
}

static int move_pages_of(char** arguments) {
  int victim = victim_of(arguments[0]);
  // No pages: whether it may be asked is all.
  return outcome("move_pages", syscall(SYS_move_pages, victim, 0L, NULL, NULL, NULL, 0));
}

static int cookie(char** arguments) {
  (void)arguments;
  char buffer[64];
  long result = syscall(SYS_lookup_dcookie, 0L, buffer, sizeof(buffer));
  return result < 0 && errno == EINVAL ? succeeded() : outcome("lookup_dcookie", result);
}

#ifdef __x86_64__
static int i386_call(char** arguments) {
  (void)arguments;
  long result = 20;  // getpid
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
  errno = (int)-result;
  return outcome("int80", result);
}

static int x32_call(char** arguments) {
  (void)arguments;
  return outcome("x32-calls", syscall(0x40000000 | SYS_getpid));
}

// exit(0) as a program of its own: an ELF header, one segment, twelve bytes of code.
static int i386_program(char** arguments) {
  (void)arguments;
  static const unsigned char program[] = {
      0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0,           // 32 bits,
                                                                         // little-endian
      2, 0, 3, 0, 1, 0, 0, 0, 0x54, 0x80, 0x04, 0x08, 0x34, 0, 0, 0,     // executable, i386,
                                                                         // entry, segments
      0, 0, 0, 0, 0, 0, 0, 0, 0x34, 0, 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 0,  //
      1, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x04, 0x08, 0, 0x80, 0x04, 0x08,  // all of it at
                                                                         // 0x08048000
      0x62, 0, 0, 0, 0x62, 0, 0, 0, 5, 0, 0, 0, 0, 0x10, 0, 0,           //
      0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80, 0x0f, 0x0b,              // mov $1,%eax; xor %ebx,%ebx; int $0x80; ud2
      0, 0, 0};
  int fd = memfd_create("i386", 0);
  if (fd < 0 || write(fd, program, sizeof(program)) != sizeof(program)) return broken("memfd");
  pid_t child = fork();
  if (child == 0) {
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    execl(path, path, NULL);
    _exit(errno == ENOEXEC ? 2 : 3);
  }
  int status;
  if (waitpid(child, &status, 0) != child) return broken("waitpid");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return succeeded();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) return refused_because("execve", "ENOEXEC");
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) return refused_because("exit", "SIGSYS");
  // The call came back with an error, so that the program ran on into its trap.
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGILL) return refused_because("exit", "EPERM");
  return broken("i386");
}
#else
static int i386_call(char** arguments) {
  (void)arguments;
  return refused_because("int80", "ENOSYS");
}
#define x32_call i386_call
#define i386_program i386_call
#endif

const struct attack syscall_attacks[] = {
    {"bpf-map", bpf_map},
    {"bpf-program", bpf_program},
    {"perf-event", perf_event},
    {"user-faults", user_faults},
    {"io-ring", io_ring},
    {"add-key", add_key},
    {"request-key", request_key},
    {"join-session", join_session},
    {"read-key", read_key},
    {"hold-key", hold_key},
    {"watch-permissions", watch_permissions},
    {"io-privilege", io_privilege},
    {"io-port", io_port},
    {"change-segments", change_segments},
    {"fixed-addresses", fixed_addresses},
    {"compare-kernel-objects", compare_kernel_objects},
    {"memory-policy", memory_policy},
    {"move-pages-of", move_pages_of},
    {"cookie", cookie},
    {"i386-call", i386_call},
    {"x32-call", x32_call},
    {"i386-program", i386_program},
    END_OF_ATTACKS,
};

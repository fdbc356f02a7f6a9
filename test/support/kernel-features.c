/*
 * What programs ask of a kernel, each asked for as a program does. One line a feature: `NAME ok`, or its name, the
 * step that failed and why, separated by colons. Everything runs on its own, in a child, so that nothing of one is left
 * for the next. The working directory is written to.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <ifaddrs.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static const char* feature;

static void fail(const char* step) {
  printf("%s: %s: %s\n", feature, step, strerror(errno));
  fflush(stdout);
  _exit(1);
}

/* Names the step as it is written. */
#define MUST(step)            \
  do {                        \
    if (!(step)) fail(#step); \
  } while (0)

static void reap(pid_t pid) {
  int status;
  MUST(pid > 0);
  MUST(waitpid(pid, &status, 0) == pid);
  MUST(status == 0);
}

/* ---- threads and waiting ---- */

static void* die_holding(void* mutex) {
  pthread_mutex_lock(mutex);
  return NULL;
}

static void robust_mutex(void) {
  pthread_mutexattr_t attributes;
  pthread_mutex_t* mutex = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  MUST(mutex != MAP_FAILED);
  pthread_mutexattr_init(&attributes);
  MUST(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
  MUST(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
  MUST(pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT) == 0);
  MUST(pthread_mutex_init(mutex, &attributes) == 0);
  pid_t pid = fork();
  if (pid == 0) _exit(die_holding(mutex) == NULL ? 0 : 1);
  reap(pid);
  MUST(pthread_mutex_lock(mutex) == EOWNERDEAD);
  MUST(pthread_mutex_consistent(mutex) == 0);
}

static void threads(void) {
  pthread_t all[32];
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  for (int i = 0; i < 32; i++) {
    MUST(pthread_create(&all[i], NULL, die_holding, &mutex) == 0);
    MUST(pthread_join(all[i], NULL) == 0);
    pthread_mutex_unlock(&mutex);
  }
}

static void event_loop(void) {
  struct epoll_event event = {.events = EPOLLIN}, got;
  int loop = epoll_create1(EPOLL_CLOEXEC), events = eventfd(1, EFD_NONBLOCK);
  MUST(loop >= 0 && events >= 0);
  MUST(epoll_ctl(loop, EPOLL_CTL_ADD, events, &event) == 0);
  MUST(epoll_pwait(loop, &got, 1, -1, NULL) == 1);
}

static void timers(void) {
  struct itimerspec soon = {.it_value.tv_nsec = 1000000};
  uint64_t count;
  int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC);
  MUST(fd >= 0);
  MUST(timerfd_settime(fd, 0, &soon, NULL) == 0);
  MUST(read(fd, &count, sizeof count) == sizeof count && count >= 1);
  timer_t timer;
  struct sigevent none = {.sigev_notify = SIGEV_NONE};
  MUST(timer_create(CLOCK_MONOTONIC, &none, &timer) == 0);
  MUST(timer_settime(timer, 0, &soon, NULL) == 0);
}

static void signals(void) {
  sigset_t set;
  struct signalfd_siginfo info;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN);
  MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
  int fd = signalfd(-1, &set, SFD_CLOEXEC);
  MUST(fd >= 0);
  MUST(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 42}) == 0);
  MUST(read(fd, &info, sizeof info) == sizeof info && info.ssi_int == 42);
}

static void watching(void) {
  char buffer[4096];
  int fd = inotify_init1(IN_CLOEXEC);
  MUST(fd >= 0);
  MUST(inotify_add_watch(fd, ".", IN_CREATE) >= 0);
  MUST(close(open("watched", O_CREAT | O_WRONLY, 0600)) == 0);
  MUST(read(fd, buffer, sizeof buffer) > 0);
  MUST(strcmp(((struct inotify_event*)buffer)->name, "watched") == 0);
}

/* ---- processes ---- */

static void spawning(void) {
  char* arguments[] = {"true", NULL};
  pid_t pid;
  MUST(posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) == 0);
  reap(pid);
  pid = vfork();
  if (pid == 0) _exit(0);
  reap(pid);
}

static void process_descriptors(void) {
  siginfo_t info;
  pid_t pid = fork();
  if (pid == 0) {
    pause();
    _exit(1);
  }
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  MUST(fd >= 0);
  MUST(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) == 0);
  MUST(waitid(P_PIDFD, (id_t)fd, &info, WEXITED) == 0 && info.si_status == SIGTERM);
}

static void tracing(void) {
  static char secret[8] = "before";
  char seen[8];
  int status;
  pid_t pid = fork();
  if (pid == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    strcpy(secret, "child");
    raise(SIGSTOP);
    _exit(0);
  }
  MUST(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
  struct iovec here = {seen, sizeof seen}, there = {secret, sizeof secret};
  MUST(process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof seen && strcmp(seen, "child") == 0);
  MUST(ptrace(PTRACE_CONT, pid, NULL, NULL) == 0);
  reap(pid);
}

/* Asked for by debuggers; what container runtimes allow to be set is what it is anyway. */
static void personalities(void) {
  int now = personality(0xffffffff);
  MUST(now >= 0);
  MUST(personality(PER_LINUX) == now);
}

static void priorities(void) {
  cpu_set_t set;
  struct sched_param parameter = {0};
  MUST(sched_getaffinity(0, sizeof set, &set) == 0);
  MUST(sched_setaffinity(0, sizeof set, &set) == 0);
  MUST(setpriority(PRIO_PROCESS, 0, 5) == 0);
  MUST(sched_setscheduler(0, SCHED_BATCH, &parameter) == 0);
  MUST(syscall(SYS_ioprio_set, 1, 0, 3 << 13) == 0);
  struct rlimit limit;
  MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* What a server does that starts as root. */
static void becoming_somebody_else(void) {
  gid_t groups[] = {1000, 100};
  MUST(setgroups(2, groups) == 0);
  MUST(setresgid(1000, 1000, 1000) == 0);
  MUST(setresuid(1000, 1000, 1000) == 0);
  MUST(setuid(0) != 0 && errno == EPERM);
  MUST(prctl(PR_SET_DUMPABLE, 1) == 0);
}

static void changing_root(void) {
  MUST(mkdir("root", 0755) == 0);
  MUST(chroot("root") == 0 && chdir("/") == 0);
  MUST(access("/usr", F_OK) != 0);
}

/* A program's own fence around itself: no new privileges, and a filter that allows everything. */
static void own_filter(void) {
  struct {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
  } allow = {0x06, 0, 0, 0x7fff0000};
  struct {
    uint16_t length;
    void* filter;
  } program = {1, &allow};
  MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  MUST(syscall(SYS_seccomp, 1, 0, &program) == 0);
}

static void terminals(void) {
  int master, slave;
  char name[64], byte;
  MUST(openpty(&master, &slave, name, NULL, NULL) == 0);
  MUST(write(slave, "x", 1) == 1 && read(master, &byte, 1) == 1 && byte == 'x');
  MUST(setsid() > 0);
  MUST(ioctl(slave, 0x540e /* TIOCSCTTY */, 0) == 0);
}

/* ---- memory ---- */

static void generated_code(void) {
#if defined(__x86_64__)
  static const unsigned char answer[] = {0xb8, 42, 0, 0, 0, 0xc3};
#elif defined(__aarch64__)
  static const unsigned char answer[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
#endif
  char* code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(code != MAP_FAILED);
  memcpy(code, answer, sizeof answer);
  MUST(mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0);
  __builtin___clear_cache(code, code + 4096);
  MUST(((int (*)(void))code)() == 42);
  /* Written through one mapping and run through another, as some runtimes do. */
  int fd = memfd_create("code", MFD_CLOEXEC);
  MUST(fd >= 0 && write(fd, answer, sizeof answer) == sizeof answer);
  int (*other)(void) = (int (*)(void))mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
  MUST((void*)other != MAP_FAILED);
  MUST(other() == 42);
}

static void sealed_memory(void) {
  int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
  MUST(fd >= 0);
  MUST(ftruncate(fd, 4096) == 0);
  MUST(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK) == 0);
  MUST(write(fd, "x", 1) < 0 && errno == EPERM);
}

static void memory_advice(void) {
  size_t size = 4 << 20;
  char* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  MUST(memory != MAP_FAILED);
  MUST(madvise(memory, size, MADV_HUGEPAGE) == 0 || errno == EINVAL);
  memset(memory, 1, size);
  MUST(madvise(memory, size, MADV_DONTNEED) == 0 && memory[0] == 0);
  MUST(mlock(memory, 65536) == 0 && munlock(memory, 65536) == 0);
  memory = mremap(memory, size, 2 * size, MREMAP_MAYMOVE);
  MUST(memory != MAP_FAILED);
  MUST(syscall(SYS_membarrier, 1 /* global */, 0, 0) == 0);
}

static void system_v(void) {
  struct sembuf up = {0, 1, 0}, down = {0, -1, 0};
  struct {
    long type;
    char text[8];
  } message = {1, "said"};
  int shared = shmget(IPC_PRIVATE, 4096, 0600), semaphores = semget(IPC_PRIVATE, 1, 0600),
      queue = msgget(IPC_PRIVATE, 0600);
  MUST(shared >= 0 && semaphores >= 0 && queue >= 0);
  MUST(shmat(shared, NULL, 0) != (void*)-1);
  MUST(semop(semaphores, &up, 1) == 0 && semop(semaphores, &down, 1) == 0);
  MUST(msgsnd(queue, &message, sizeof message.text, 0) == 0);
  MUST(msgrcv(queue, &message, sizeof message.text, 0, 0) == sizeof message.text);
  MUST(shmctl(shared, IPC_RMID, NULL) == 0 && semctl(semaphores, 0, IPC_RMID) == 0 &&
       msgctl(queue, IPC_RMID, NULL) == 0);
}

static void posix_shared(void) {
  int fd = shm_open("/plybox-feature", O_CREAT | O_EXCL | O_RDWR, 0600);
  MUST(fd >= 0);
  MUST(ftruncate(fd, 4096) == 0);
  MUST(shm_unlink("/plybox-feature") == 0);
  sem_t* semaphore = sem_open("/plybox-feature", O_CREAT | O_EXCL, 0600, 1);
  MUST(semaphore != SEM_FAILED);
  MUST(sem_wait(semaphore) == 0 && sem_unlink("/plybox-feature") == 0);
  mqd_t queue = mq_open("/plybox-feature", O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
  MUST(queue >= 0);
  MUST(mq_send(queue, "said", 4, 0) == 0 && mq_unlink("/plybox-feature") == 0);
}

/* ---- files ---- */

static void locks(void) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  int first = open("locked", O_CREAT | O_RDWR, 0600), second = open("locked", O_RDWR);
  MUST(first >= 0 && second >= 0);
  MUST(flock(first, LOCK_EX) == 0);
  MUST(flock(second, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
  MUST(fcntl(first, F_OFD_SETLK, &lock) == 0);
  MUST(fcntl(second, F_OFD_SETLK, &lock) < 0 && errno == EAGAIN);
}

static void unnamed_files(void) {
  char path[64];
  int fd = open(".", O_TMPFILE | O_RDWR, 0600);
  MUST(fd >= 0);
  MUST(write(fd, "x", 1) == 1 && fsync(fd) == 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  MUST(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
}

static void attributes(void) {
  char value[8];
  MUST(close(open("attributed", O_CREAT | O_WRONLY, 0600)) == 0);
  MUST(setxattr("attributed", "user.note", "kept", 4, 0) == 0);
  MUST(getxattr("attributed", "user.note", value, sizeof value) == 4);
  MUST(listxattr("attributed", NULL, 0) > 0);
}

static void copying(void) {
  int from = open("source", O_CREAT | O_RDWR, 0600), to = open("target", O_CREAT | O_RDWR, 0600), pipes[2];
  loff_t start = 0;
  MUST(from >= 0 && to >= 0 && pipe2(pipes, O_CLOEXEC) == 0);
  MUST(write(from, "0123456789", 10) == 10);
  MUST(copy_file_range(from, &start, to, NULL, 10, 0) == 10);
  off_t zero = 0;
  MUST(sendfile(to, from, &zero, 10) == 10);
  start = 0;
  MUST(splice(from, &start, pipes[1], NULL, 10, 0) == 10);
  MUST(fallocate(to, FALLOC_FL_KEEP_SIZE, 0, 65536) == 0);
  MUST(fallocate(to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
  MUST(posix_fadvise(to, 0, 0, POSIX_FADV_DONTNEED) == 0);
  MUST(sync_file_range(to, 0, 0, SYNC_FILE_RANGE_WRITE) == 0);
}

static void special_files(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
  MUST(mkfifo("pipe", 0600) == 0);
  MUST(symlink("pipe", "link") == 0 && link("pipe", "hard") == 0);
  MUST(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr*)&address, sizeof address) == 0);
  MUST(chown("pipe", 1000, 1000) == 0 && chmod("pipe", 02755) == 0);
  MUST(syscall(SYS_renameat2, AT_FDCWD, "pipe", AT_FDCWD, "socket", 2 /* exchange */) == 0);
  MUST(mknod("node", S_IFREG | 0600, 0) == 0);
  MUST(utimensat(AT_FDCWD, "node", NULL, 0) == 0);
  struct statx status;
  MUST(statx(AT_FDCWD, "node", 0, STATX_BTIME, &status) == 0);
  MUST(syscall(SYS_close_range, 100, ~0U, 0) == 0);
  struct {
    uint64_t flags, mode, resolve;
  } how = {O_RDONLY, 0, 0x08 /* beneath */};
  MUST(syscall(SYS_openat2, AT_FDCWD, "node", &how, sizeof how) >= 0);
}

/* ---- sockets ---- */

static void passed_descriptors(void) {
  int pair[2], got = -1;
  char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
  struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &pair[0], sizeof(int));
  MUST(sendmsg(pair[0], &message, 0) == 1 && recvmsg(pair[1], &message, 0) == 1);
  memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof got);
  MUST(fcntl(got, F_GETFD) >= 0);
  struct ucred peer;
  socklen_t size = sizeof peer;
  MUST(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == getpid());
}

static void low_ports(void) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  MUST(setsockopt(server, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) == 0);
  MUST(bind(server, (struct sockaddr*)&address, sizeof address) == 0 && listen(server, 1) == 0);
  MUST(connect(client, (struct sockaddr*)&address, sizeof address) == 0);
  MUST(accept4(server, NULL, NULL, SOCK_CLOEXEC) >= 0);
}

static void ping_sockets(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  unsigned char request[8] = {8}, answer[64];
  int fd = socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP);
  MUST(fd >= 0);
  MUST(sendto(fd, request, sizeof request, 0, (struct sockaddr*)&address, sizeof address) == sizeof request);
  MUST(recv(fd, answer, sizeof answer, 0) == sizeof request && answer[0] == 0);
}

/* Asked of the kernel through netlink, as browsers and servers do. */
static void own_addresses(void) {
  struct ifaddrs* all;
  MUST(getifaddrs(&all) == 0);
  MUST(all != NULL && strcmp(all->ifa_name, "lo") == 0);
}

static const struct {
  const char* name;
  void (*run)(void);
} features[] = {
#define FEATURE(name) \
  { #name, name }
    FEATURE(robust_mutex),  FEATURE(threads),
    FEATURE(event_loop),    FEATURE(timers),
    FEATURE(signals),       FEATURE(watching),
    FEATURE(spawning),      FEATURE(process_descriptors),
    FEATURE(tracing),       FEATURE(personalities),
    FEATURE(priorities),    FEATURE(becoming_somebody_else),
    FEATURE(changing_root), FEATURE(own_filter),
    FEATURE(terminals),     FEATURE(generated_code),
    FEATURE(sealed_memory), FEATURE(memory_advice),
    FEATURE(system_v),      FEATURE(posix_shared),
    FEATURE(locks),         FEATURE(unnamed_files),
    FEATURE(attributes),    FEATURE(copying),
    FEATURE(special_files), FEATURE(passed_descriptors),
    FEATURE(low_ports),     FEATURE(ping_sockets),
    FEATURE(own_addresses),
};

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
    int status = 0;
    feature = features[i].name;
    pid_t pid = fork();
    if (pid == 0) {
      features[i].run();
      printf("%s ok\n", feature);
      _exit(fflush(stdout));
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) printf("%s: fork: %s\n", feature, strerror(errno));
    if (WIFSIGNALED(status)) printf("%s: signal %d\n", feature, WTERMSIG(status));
  }
  return 0;
}

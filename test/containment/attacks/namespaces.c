// Namespaces of one's own, and those of others.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

static const struct {
  const char* name;
  int flag;
} kinds[] = {
    {"mnt", CLONE_NEWNS},  {"uts", CLONE_NEWUTS},       {"ipc", CLONE_NEWIPC},   {"pid", CLONE_NEWPID},
    {"net", CLONE_NEWNET}, {"cgroup", CLONE_NEWCGROUP}, {"user", CLONE_NEWUSER}, {"time", 0x80},
};

static int flag_of(const char* name) {
  for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
    if (strcmp(kinds[i].name, name) == 0) return kinds[i].flag;
  return 0;
}

// KIND...: one after the other.
static int leave(char** arguments) {
  for (; *arguments != NULL; arguments++)
    if (unshare(flag_of(*arguments)) != 0) return refused("unshare");
  return succeeded();
}

static int end_of_child(const char* step, long child) {
  if (child == 0) _exit(0);
  if (child > 0) waitpid((pid_t)child, NULL, __WALL);
  return outcome(step, child);
}

// KIND: by clone(2), not by what the C library makes of fork.
static int clone_into_new(char** arguments) {
  return end_of_child("clone", syscall(SYS_clone, flag_of(arguments[0]) | SIGCHLD, 0L, NULL, NULL, 0L));
}

// KIND: by clone3(2), whose flags a seccomp filter cannot see.
static int clone3_into_new(char** arguments) {
  struct clone_args how = {.flags = (unsigned)flag_of(arguments[0]), .exit_signal = SIGCHLD};
  return end_of_child("clone3", syscall(SYS_clone3, &how, sizeof(how)));
}

// KIND PID: enters the namespace of another process.
static int enter(char** arguments) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/ns/%s", victim_of(arguments[1]), arguments[0]);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return refused("open");
  return outcome("setns", setns(fd, flag_of(arguments[0])));
}

// KIND PID: the same by a descriptor of the process.
static int enter_by_process(char** arguments) {
  int process = (int)syscall(SYS_pidfd_open, victim_of(arguments[1]), 0);
  if (process < 0) return refused("pidfd_open");
  return outcome("setns", setns(process, flag_of(arguments[0])));
}

// FILE: enters any mount namespace that a descriptor leads to which was left open, and looks for a file outside.
static int enter_by_leak(char** arguments) {
  for (int fd = 3; fd < 1024; fd++)
    if (fcntl(fd, F_GETFD) >= 0 && setns(fd, CLONE_NEWNS) == 0) return outcome("open", open(arguments[0], O_RDONLY));
  return refused_because("setns", "NONE");
}

// Looks for the mount namespace that was made before its own.
static int see_others(char** arguments) {
  (void)arguments;
  struct {
    uint32_t size, mounts;
    uint64_t id;
  } found = {.size = sizeof(found)};
  int own = open("/proc/self/ns/mnt", O_RDONLY);
  if (own < 0) return refused("open");
  int other = ioctl(own, _IOR(0xb7, 12, found), &found);  // NS_MNT_GET_PREV
  // The first of all has none before it.
  return other < 0 && errno == ENOENT ? succeeded() : outcome("ioctl", other);
}

// As root of a user namespace with a network of its own, where packets of any kind may be sent.
static int packets_of_own_network(char** arguments) {
  (void)arguments;
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return refused("unshare");
  return outcome("socket", socket(AF_PACKET, SOCK_RAW, 0));
}

// And where the kernel's packet filter takes rules: here, that there be a table.
static int rules_of_own_network(char** arguments) {
  (void)arguments;
  struct {
    struct nlmsghdr head;
    struct nfgenmsg body;
    struct nlattr name;
    char text[8];
  } messages[3] = {0};
  const unsigned short types[] = {NFNL_MSG_BATCH_BEGIN, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE,
                                  NFNL_MSG_BATCH_END};
  for (int i = 0; i < 3; i++) {
    messages[i].head = (struct nlmsghdr){sizeof(messages[i]), types[i], NLM_F_REQUEST, (unsigned)i, 0};
    messages[i].body.nfgen_family = AF_INET;
    messages[i].body.res_id = i == 1 ? 0 : htons(NFNL_SUBSYS_NFTABLES);
    // Around the rules an attribute of this number would be the generation that they are for.
    unsigned short type = i == 1 ? NFTA_TABLE_NAME : NFNL_BATCH_MAX + 1;
    messages[i].name = (struct nlattr){sizeof(struct nlattr) + sizeof(messages[i].text), type};
    strcpy(messages[i].text, "plybox");
  }
  messages[1].head.nlmsg_flags |= NLM_F_ACK | NLM_F_CREATE;
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return refused("unshare");
  int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
  if (fd < 0) return refused("socket");
  char answer[512] __attribute__((aligned(8)));
  if (send(fd, messages, sizeof(messages), 0) < 0) return refused("send");
  if (recv(fd, answer, sizeof(answer), 0) < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr))) return broken("recv");
  errno = -((struct nlmsgerr*)NLMSG_DATA((struct nlmsghdr*)answer))->error;
  return outcome("nftables", errno == 0 ? 0 : -1);
}

const struct attack namespace_attacks[] = {
    {"leave", leave},
    {"clone-into-new", clone_into_new},
    {"clone3-into-new", clone3_into_new},
    {"enter", enter},
    {"enter-by-process", enter_by_process},
    {"enter-by-leak", enter_by_leak},
    {"see-others", see_others},
    {"packets-of-own-network", packets_of_own_network},
    {"rules-of-own-network", rules_of_own_network},
    END_OF_ATTACKS,
};

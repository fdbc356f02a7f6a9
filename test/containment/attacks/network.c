// Sockets to what is outside, and changes of interfaces.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attack.h"

// FAMILY TYPE PROTOCOL: makes a socket, by the kernel's numbers.
static int make_socket(char** arguments) {
  return outcome("socket", socket(atoi(arguments[0]), atoi(arguments[1]), atoi(arguments[2])));
}

// ADDRESS PORT: an answer is an answer, also when it is that nobody listens.
static int reach(char** arguments) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[1]))};
  if (inet_pton(AF_INET, arguments[0], &address.sin_addr) != 1) return BROKEN;
  struct timeval patience = {.tv_sec = 2};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0) return broken("socket");
  int result = connect(fd, (struct sockaddr*)&address, sizeof(address));
  return result < 0 && errno == ECONNREFUSED ? succeeded() : outcome("connect", result);
}

// PORT: connects on the loopback interface.
static int loopback(char** arguments) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(arguments[0]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return broken("socket");
  return outcome("connect", connect(fd, (struct sockaddr*)&address, sizeof(address)));
}

static int connect_unix(const char* name, int is_abstract) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(name) > sizeof(address.sun_path) - 2) return BROKEN;
  strcpy(address.sun_path + is_abstract, name);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return broken("socket");
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + 1);
  return outcome("connect", connect(fd, (struct sockaddr*)&address, length));
}

// PATH
static int unix_socket(char** arguments) { return connect_unix(arguments[0], 0); }

// NAME
static int abstract_socket(char** arguments) { return connect_unix(arguments[0], 1); }

// Sends one message to a part of the kernel and returns what it answers.
static int ask(int part, struct nlmsghdr* message) {
  int fd = socket(AF_NETLINK, SOCK_RAW, part);
  if (fd < 0) return refused("socket");
  message->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  if (send(fd, message, message->nlmsg_len, 0) < 0) return refused("send");
  char answer[4096] __attribute__((aligned(8)));
  ssize_t length = recv(fd, answer, sizeof(answer), 0);
  struct nlmsghdr* header = (struct nlmsghdr*)answer;
  if (length < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)) || header->nlmsg_type != NLMSG_ERROR)
    return broken("netlink");
  errno = -((struct nlmsgerr*)NLMSG_DATA(header))->error;
  return outcome("netlink", errno == 0 ? 0 : -1);
}

static void* append(struct nlmsghdr* message, unsigned short type, const void* value, unsigned short length) {
  struct rtattr* attribute = (struct rtattr*)((char*)message + NLMSG_ALIGN(message->nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = (unsigned short)RTA_LENGTH(length);
  if (length > 0) memcpy(RTA_DATA(attribute), value, length);
  message->nlmsg_len = NLMSG_ALIGN(message->nlmsg_len) + RTA_ALIGN(attribute->rta_len);
  return attribute;
}

// KIND: makes an interface.
static int make_interface(char** arguments) {
  struct {
    struct nlmsghdr head;
    struct ifinfomsg body;
    char rest[256];
  } message = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
                        .nlmsg_type = RTM_NEWLINK,
                        .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL}};
  append(&message.head, IFLA_IFNAME, "plybox-probe", 13);
  struct rtattr* link = append(&message.head, IFLA_LINKINFO, NULL, 0);
  append(&message.head, IFLA_INFO_KIND, arguments[0], (unsigned short)strlen(arguments[0]));
  link->rta_len = (unsigned short)((char*)&message + message.head.nlmsg_len - (char*)link);
  return ask(NETLINK_ROUTE, &message.head);
}

// Sends packets to a documentation address nowhere.
static int make_route(char** arguments) {
  (void)arguments;
  struct {
    struct nlmsghdr head;
    struct rtmsg body;
    char rest[256];
  } message = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                        .nlmsg_type = RTM_NEWROUTE,
                        .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL},
               .body = {.rtm_family = AF_INET,
                        .rtm_dst_len = 32,
                        .rtm_table = RT_TABLE_MAIN,
                        .rtm_protocol = RTPROT_STATIC,
                        .rtm_type = RTN_BLACKHOLE}};
  struct in_addr address;
  inet_pton(AF_INET, "192.0.2.1", &address);
  append(&message.head, RTA_DST, &address, sizeof(address));
  return ask(NETLINK_ROUTE, &message.head);
}

// ADDRESS: gives the loopback interface one more.
static int add_address(char** arguments) {
  struct {
    struct nlmsghdr head;
    struct ifaddrmsg body;
    char rest[256];
  } message = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
                        .nlmsg_type = RTM_NEWADDR,
                        .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL},
               .body = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = if_nametoindex("lo")}};
  struct in_addr address;
  if (inet_pton(AF_INET, arguments[0], &address) != 1) return BROKEN;
  append(&message.head, IFA_LOCAL, &address, sizeof(address));
  return ask(NETLINK_ROUTE, &message.head);
}

// Brings the loopback interface up.
static int bring_up(char** arguments) {
  (void)arguments;
  struct ifreq request = {.ifr_name = "lo"};
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) != 0) return broken("SIOCGIFFLAGS");
  request.ifr_flags |= IFF_UP;
  return outcome("SIOCSIFFLAGS", ioctl(fd, SIOCSIFFLAGS, &request));
}

// Asks the audit for its state, which whoever may set it may ask for.
static int ask_audit(char** arguments) {
  (void)arguments;
  struct nlmsghdr message = {.nlmsg_len = NLMSG_LENGTH(0), .nlmsg_type = AUDIT_GET};
  return ask(NETLINK_AUDIT, &message);
}

const struct attack network_attacks[] = {
    {"socket", make_socket},
    {"reach", reach},
    {"loopback", loopback},
    {"unix-socket", unix_socket},
    {"abstract-socket", abstract_socket},
    {"make-interface", make_interface},
    {"make-route", make_route},
    {"add-address", add_address},
    {"bring-up", bring_up},
    {"ask-audit", ask_audit},
    END_OF_ATTACKS,
};

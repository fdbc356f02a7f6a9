/*
 * Carries one connection between a virtio serial port and the AF_VSOCK port of the same guest:
 * guest-bridge /dev/vport0pN PORT. The first byte that the host gets, a newline, is the bridge's own; what follows is
 * what the listener says.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(const char* step) {
  perror(step);
  return 1;
}

static int connect_to(unsigned port) {
  struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_LOCAL, .svm_port = port};
  for (;;) {
    int connection = socket(AF_VSOCK, SOCK_STREAM, 0);
    if (connection < 0) return -1;
    if (connect(connection, (struct sockaddr*)&address, sizeof(address)) == 0) return connection;
    /* Nobody listens yet: the listener is started after the bridges. */
    if (errno != ECONNRESET && errno != ECONNREFUSED) return -1;
    close(connection);
    usleep(1000);
  }
}

/* Answers 0 at the end. */
static int carry(int from, int to) {
  static char bytes[32768];
  ssize_t count = read(from, bytes, sizeof(bytes));
  for (ssize_t at = 0; at < count;) {
    ssize_t written = write(to, bytes + at, (size_t)(count - at));
    if (written <= 0) return 0;
    at += written;
  }
  return count > 0;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  int host = open(argv[1], O_RDWR);
  if (host < 0) return fail(argv[1]);
  /* Blocks until somebody on the host has the port open; a read would answer with the end of the stream. */
  if (write(host, "\n", 1) != 1) return fail("write");
  int agent = connect_to((unsigned)atoi(argv[2]));
  if (agent < 0) return fail("vsock");
  struct pollfd ends[] = {{host, POLLIN, 0}, {agent, POLLIN, 0}};
  for (;;) {
    if (poll(ends, 2, -1) < 0) return fail("poll");
    if (ends[0].revents != 0 && !carry(host, agent)) return 0;
    if (ends[1].revents != 0 && !carry(agent, host)) return 0;
  }
}

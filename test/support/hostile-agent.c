/*
 * Takes the place of plyagent in a sandbox. Without HOSTILE in its environment it becomes the agent that was built into
 * it; with it, every connection is served by the script that HOSTILE holds in hexadecimal digits:
 *
 *   h                    says hello as an agent of this sandbox does
 *   s u32 bytes          sends
 *   r u32 u32 bytes      sends the same so many times, 0: without end
 *   w u8                 reads frames until one of this kind has come
 *   c                    hangs up
 *   e                    ends, and the sandbox with it
 *
 * Behind the last step it is silent, and reads nothing. Numbers are little-endian.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char** environ;
extern const char agent_begin[], agent_end[];
__asm__(".section .rodata\nagent_begin: .incbin \"" AGENT "\"\nagent_end: .byte 0\n.previous\n");

static const char *sandbox = "", *incarnation = "0";

static void become_agent(char** argv) {
  int memory = memfd_create("plyagent", MFD_CLOEXEC);
  size_t size = (size_t)(agent_end - agent_begin);
  if (memory < 0 || write(memory, agent_begin, size) != (ssize_t)size) _exit(3);
  syscall(SYS_execveat, memory, "", argv, environ, 0x1000 /* AT_EMPTY_PATH */);
  _exit(4);
}

static void send_all(int to, const void* bytes, size_t size) {
  for (const char* at = bytes; size > 0;) {
    ssize_t sent = send(to, at, size, MSG_NOSIGNAL);
    if (sent <= 0) _exit(0);
    at += sent;
    size -= (size_t)sent;
  }
}

static void read_all(int from, void* bytes, size_t size) {
  for (char* at = bytes; size > 0;) {
    ssize_t got = read(from, at, size);
    if (got <= 0) _exit(0);
    at += got;
    size -= (size_t)got;
  }
}

static uint32_t number(const unsigned char** at) {
  uint32_t value;
  memcpy(&value, *at, 4);
  *at += 4;
  return value;
}

static void say_hello(int to) {
  char json[512];
  int size =
      snprintf(json, sizeof(json),
               "{\"generation\":1,\"role\":\"agent\",\"version\":\"0.1.0\",\"sandbox\":\"%s\",\"incarnation\":%s,"
               "\"capabilities\":[\"exec\"]}",
               sandbox, incarnation);
  uint32_t length = 5 + (uint32_t)size;
  unsigned char head[9] = {0};
  memcpy(head, &length, 4);
  head[4] = 1;
  send_all(to, head, sizeof(head));
  send_all(to, json, (size_t)size);
}

static void await_frame(int from, unsigned char kind) {
  static char payload[1 << 20];
  unsigned char head[9];
  uint32_t length;
  do {
    read_all(from, head, sizeof(head));
    memcpy(&length, head, 4);
    read_all(from, payload, length - 5);
  } while (head[4] != kind);
}

/* In large pieces: a flood is to be limited by who takes it. */
static void repeat(int to, uint32_t times, const unsigned char* bytes, uint32_t size) {
  static unsigned char piece[1 << 16];
  uint32_t most = size > sizeof(piece) ? 1 : (uint32_t)sizeof(piece) / size;
  if (most == 1) {
    for (uint32_t i = 0; times == 0 || i < times; i++) send_all(to, bytes, size);
    return;
  }
  for (uint32_t i = 0; i < most; i++) memcpy(piece + i * size, bytes, size);
  for (uint32_t left = times; times == 0 || left > 0;) {
    uint32_t now = times == 0 || left > most ? most : left;
    send_all(to, piece, (size_t)now * size);
    left -= times == 0 ? 0 : now;
  }
}

static void serve(int peer, const unsigned char* at, const unsigned char* end) {
  while (at < end) {
    uint32_t times;
    uint32_t size;
    switch (*at++) {
      case 'h':
        say_hello(peer);
        break;
      case 's':
        size = number(&at);
        send_all(peer, at, size);
        at += size;
        break;
      case 'r':
        times = number(&at);
        size = number(&at);
        repeat(peer, times, at, size);
        at += size;
        break;
      case 'w':
        await_frame(peer, *at++);
        break;
      case 'c':
        _exit(0);
      case 'e':
        /* Process 1 ignores what it has no handler for. */
        kill(1, SIGTERM);
        break;
    }
  }
  for (;;) pause();
}

static void leave(int signal) {
  (void)signal;
  _exit(9);
}

int main(int argc, char** argv) {
  const char* digits = getenv("HOSTILE");
  if (digits == NULL) become_agent(argv);
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--sandbox") == 0) sandbox = argv[i + 1];
    if (strcmp(argv[i], "--incarnation") == 0) incarnation = argv[i + 1];
  }
  size_t size = strlen(digits) / 2;
  unsigned char* script = malloc(size + 1);
  for (size_t i = 0; i < size; i++) {
    unsigned byte;
    sscanf(digits + 2 * i, "%2x", &byte);
    script[i] = (unsigned char)byte;
  }
  signal(SIGCHLD, SIG_IGN);
  signal(SIGTERM, leave);
  for (;;) {
    struct pollfd listening = {3, POLLIN, 0};
    poll(&listening, 1, -1);
    int peer = accept4(3, NULL, NULL, SOCK_CLOEXEC);
    if (peer >= 0 && fork() == 0) serve(peer, script, script + size);
    if (peer >= 0) close(peer);
  }
}

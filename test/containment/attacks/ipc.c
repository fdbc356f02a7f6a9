// System V and POSIX objects of others, and a process that holds one of each for them.
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attack.h"

// KEY: finds the shared memory of that key.
static int shared_memory(char** arguments) { return outcome("shmget", shmget((key_t)atoi(arguments[0]), 0, 0)); }
static int semaphores(char** arguments) { return outcome("semget", semget((key_t)atoi(arguments[0]), 0, 0)); }
static int message_queue(char** arguments) { return outcome("msgget", msgget((key_t)atoi(arguments[0]), 0)); }

// NAME: opens a POSIX message queue.
static int posix_queue(char** arguments) { return outcome("mq_open", mq_open(arguments[0], O_RDONLY | O_NONBLOCK)); }

static int listen_on_loopback(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof(address);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr*)&address, length) != 0 || listen(fd, 64) != 0) return -1;
  if (getsockname(fd, (struct sockaddr*)&address, &length) != 0) return -1;
  return ntohs(address.sin_port);
}

static int listen_on_name(const char* name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path + 1, name, sizeof(address.sun_path) - 2);
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return bind(fd, (struct sockaddr*)&address, length) != 0 ? -1 : listen(fd, 64);
}

// MARK KEY WORD: no attack. Holds a listener on the loopback interface, one on the abstract name MARK, System V objects
// of KEY and a message queue /MARK, all open to everybody; prints the port, and lets go when its input ends. WORD is
// for who looks at command lines.
static int hold(char** arguments) {
  alarm(0);
  char queue_name[128];
  snprintf(queue_name, sizeof(queue_name), "/%s", arguments[0]);
  key_t key = (key_t)atoi(arguments[1]);
  int memory = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0666);
  int semaphore = semget(key, 1, IPC_CREAT | IPC_EXCL | 0666);
  int messages = msgget(key, IPC_CREAT | IPC_EXCL | 0666);
  mqd_t queue = mq_open(queue_name, O_CREAT | O_EXCL | O_RDWR, 0666, NULL);
  int port = listen_on_loopback();
  int named = listen_on_name(arguments[0]);
  int error = errno;
  if (memory >= 0 && semaphore >= 0 && messages >= 0 && queue != (mqd_t)-1 && port > 0 && named == 0) {
    printf("%d\n", port);
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0) continue;
  } else {
    printf("broken hold %s\n", strerror(error));
  }
  if (memory >= 0) shmctl(memory, IPC_RMID, NULL);
  if (semaphore >= 0) semctl(semaphore, 0, IPC_RMID);
  if (messages >= 0) msgctl(messages, IPC_RMID, NULL);
  if (queue != (mqd_t)-1) mq_unlink(queue_name);
  return 0;
}

const struct attack ipc_attacks[] = {
    {"shared-memory", shared_memory},
    {"semaphores", semaphores},
    {"message-queue", message_queue},
    {"posix-queue", posix_queue},
    {"hold", hold},
    END_OF_ATTACKS,
};

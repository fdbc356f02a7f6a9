// plyrelay: does one file transfer for the daemon, in a process of its own.
//
// Descriptor 3 is the client's connection and 4 the agent's; the daemon leaves both alone meanwhile. Says on standard
// output how far it has come, as JSON, and leaves the connections as they are: at the edge of a frame, so that the
// daemon goes on. It reads what an agent sends, so it keeps no right to anything else.
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/relay.h"

namespace plybox {
namespace {

constexpr int kClient = 3;
constexpr int kAgent = 4;
constexpr int kBufferBytes = 1 << 20;
constexpr uid_t kNobody = 65534;

bool parse(const char* text, uint64_t most, uint64_t& value) {
  char* end = nullptr;
  value = strtoull(text, &end, 10);
  return *text >= '0' && *text <= '9' && *end == '\0' && value <= most;
}

// As much under way as can be: fewer switches between the processes.
void widen(int socket) {
  int bytes = kBufferBytes;
  if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) != 0)
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

void become_nobody() {
  // In a user namespace without further ids there is nobody else to become, and nothing of the host's to do either.
  if (geteuid() != 0 || setgroups(0, nullptr) != 0 || setresgid(kNobody, kNobody, kNobody) != 0) return;
  if (setresuid(kNobody, kNobody, kNobody) != 0) _exit(1);
}

bool give_up_rights() {
  become_nobody();
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 &&
         prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0;
}

const char* name_of(End end) {
  if (end == End::kDone) return "done";
  return end == End::kClient ? "client" : "agent";
}

int usage() {
  fputs("usage: plyrelay in|out CHANNEL OFFSET CREDIT BYTES, with the client's connection as 3 and the agent's as 4\n",
        stderr);
  return 2;
}

int run(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--version") == 0) return puts("plyrelay " PLYBOX_VERSION) < 0;
  if (argc != 6) return usage();
  bool in = strcmp(argv[1], "in") == 0;
  uint64_t channel, offset, credit, bytes;
  if ((!in && strcmp(argv[1], "out") != 0) || !parse(argv[2], UINT32_MAX, channel) ||
      !parse(argv[3], INT64_MAX, offset) || !parse(argv[4], INT32_MAX, credit) || !parse(argv[5], INT64_MAX, bytes))
    return usage();
  signal(SIGPIPE, SIG_IGN);
  widen(in ? kAgent : kClient);
  if (!give_up_rights()) return 1;
  Transfer transfer{static_cast<uint32_t>(channel), offset, static_cast<uint32_t>(credit), bytes};
  Moved moved = in ? move_in(kClient, kAgent, transfer) : move_out(kClient, kAgent, transfer);
  printf("{\"moved\":%llu,\"credit\":%u,\"end\":\"%s\"}\n", static_cast<unsigned long long>(moved.bytes), moved.credit,
         name_of(moved.end));
  fflush(stdout);
  fclose(stdout);
  if (in && moved.end == End::kAgent) drain(kClient, bytes - moved.bytes);
  return 0;
}

}  // namespace
}  // namespace plybox

int main(int argc, char** argv) { return plybox::run(argc, argv); }

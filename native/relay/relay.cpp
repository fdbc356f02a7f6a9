#include "relay/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "common/conduit.h"
#include "common/frame.h"

namespace plybox {
namespace {

constexpr uint8_t kFromHost = 0;
constexpr uint8_t kFromAgent = 1;
constexpr int kPipeBytes = 1 << 20;
// What the agent may be ahead of the client.
constexpr uint32_t kWindow = 1 << 20;
constexpr int kDrainMs = 2000;

bool is_passing(int error) { return error == EAGAIN || error == EINTR; }

void wait_for(int fd, short events, int other = -1, short other_events = 0) {
  pollfd both[2] = {{fd, events, 0}, {other, other_events, 0}};
  poll(both, 2, -1);
}

bool send_all(int to, std::string_view bytes, int flags) {
  while (!bytes.empty()) {
    ssize_t count = send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL | flags);
    if (count < 0 && !is_passing(errno)) return false;
    if (count < 0) wait_for(to, POLLOUT);
    if (count > 0) bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// The first `count` bytes that the agent has sent and nobody has read, where so many are here.
bool peek(int agent, char* bytes, size_t count) {
  return recv(agent, bytes, count, MSG_PEEK | MSG_DONTWAIT) == static_cast<ssize_t>(count);
}

enum class Control { kNone, kCredit, kOther };

// Takes a grant of credit, where that is what comes next; everything else stays for the daemon.
Control take_credit(int agent, Moved& moved, uint32_t channel) {
  char bytes[kFrameHeader + 4];
  ssize_t count = recv(agent, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
  if (count < 0 && is_passing(errno)) return Control::kNone;
  if (count != sizeof(bytes) || header_problem({bytes, kFrameHeader})) return Control::kOther;
  FrameHeader header = read_header(bytes);
  if (header.kind != Kind::kCredit || header.channel != channel || header.length != kMinLength + 4)
    return Control::kOther;
  std::optional<uint32_t> more = parse_credit({bytes + kFrameHeader, 4});
  if (!more || *more > kMaxCredit - moved.credit) return Control::kOther;
  recv(agent, bytes, sizeof(bytes), MSG_DONTWAIT);
  moved.credit += *more;
  return Control::kCredit;
}

// How many bytes the data frame has that comes next, without its head, which has been taken; 0 where what comes is
// something else, or not what this transfer lets the agent send.
size_t take_data_head(int agent, const Moved& moved, const Transfer& transfer) {
  char bytes[kFrameHeader + kDataHeader];
  if (!peek(agent, bytes, sizeof(bytes)) || header_problem({bytes, kFrameHeader})) return 0;
  FrameHeader header = read_header(bytes);
  constexpr uint32_t kHeads = kMinLength + kDataHeader;
  if (header.kind != Kind::kData || header.channel != transfer.channel || header.length <= kHeads) return 0;
  std::optional<Data> data = parse_data({bytes + kFrameHeader, kDataHeader});
  size_t count = header.length - kHeads;
  bool expected = data && data->stream == kFromAgent && data->offset == transfer.offset + moved.bytes;
  if (!expected || count > moved.credit || count > transfer.bytes - moved.bytes) return 0;
  recv(agent, bytes, sizeof(bytes), MSG_DONTWAIT);
  return count;
}

// Waits until the client takes more. Answers false where the agent is gone and has left less than is still wanted of
// it: a client that has stopped reading need not be waited for then.
bool await_room(int client, int agent, uint64_t wanted) {
  pollfd both[2] = {{client, POLLOUT, 0}, {agent, 0, 0}};
  poll(both, 2, -1);
  if ((both[1].revents & (POLLHUP | POLLERR)) == 0) return true;
  int unread = 0;
  if (ioctl(agent, FIONREAD, &unread) != 0 || static_cast<uint64_t>(unread) < wanted) return false;
  poll(both, 1, -1);
  return true;
}

Moved ended(Moved moved, End end) {
  moved.end = end;
  return moved;
}

}  // namespace

Moved move_in(int client, int agent, const Transfer& transfer) {
  Conduit conduit;
  Moved moved{0, transfer.credit, End::kDone};
  if (!conduit.open(kPipeBytes)) return ended(moved, End::kAgent);
  while (moved.bytes < transfer.bytes) {
    Control control = take_credit(agent, moved, transfer.channel);
    if (control == Control::kOther) return ended(moved, End::kAgent);
    if (control == Control::kCredit) continue;
    if (moved.credit == 0) {
      wait_for(agent, POLLIN);
      continue;
    }
    uint64_t want = std::min<uint64_t>({transfer.bytes - moved.bytes, moved.credit, kMaxDataBytes});
    ssize_t count = conduit.fill(client, want);
    if (count < 0 && is_passing(errno)) {
      wait_for(client, POLLIN, agent, POLLIN);
      continue;
    }
    if (count <= 0) return ended(moved, End::kClient);
    std::string head;
    auto size = static_cast<size_t>(count);
    append_data_header(head, transfer.channel, kFromHost, transfer.offset + moved.bytes, size);
    if (!send_all(agent, head, MSG_MORE)) return ended(moved, End::kAgent);
    for (size_t left = size; left > 0;) {
      ssize_t given = conduit.empty(agent, left);
      if (given < 0 && !is_passing(errno)) return ended(moved, End::kAgent);
      if (given < 0) wait_for(agent, POLLOUT);
      if (given > 0) left -= static_cast<size_t>(given);
    }
    moved.bytes += size;
    moved.credit -= static_cast<uint32_t>(size);
  }
  return moved;
}

Moved move_out(int client, int agent, const Transfer& transfer) {
  Conduit conduit;
  Moved moved{0, transfer.credit, End::kDone};
  if (!conduit.open(kPipeBytes)) return ended(moved, End::kAgent);
  bool hears = true;
  while (moved.bytes < transfer.bytes) {
    if (hears && moved.credit <= kWindow - kWindow / 4) {
      std::string frame;
      append_credit(frame, transfer.channel, kWindow - moved.credit);
      // One that has sent everything may have left: what it sent is here.
      hears = send_all(agent, frame, 0);
      if (hears) moved.credit = kWindow;
    }
    char one;
    if (recv(agent, &one, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && is_passing(errno)) {
      // A client that has gone is noticed though nothing is written to it.
      pollfd both[2] = {{agent, POLLIN, 0}, {client, POLLRDHUP, 0}};
      poll(both, 2, -1);
      if ((both[1].revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) return ended(moved, End::kClient);
      continue;
    }
    size_t size = take_data_head(agent, moved, transfer);
    if (size == 0) return ended(moved, End::kAgent);
    moved.credit -= static_cast<uint32_t>(size);
    for (size_t left = size; left > 0;) {
      ssize_t taken = conduit.fill(agent, left);
      if (taken < 0 && is_passing(errno)) {
        wait_for(agent, POLLIN);
        continue;
      }
      if (taken <= 0) return ended(moved, End::kAgent);
      left -= static_cast<size_t>(taken);
      for (auto held = static_cast<size_t>(taken); held > 0;) {
        ssize_t given = conduit.empty(client, held);
        if (given < 0 && !is_passing(errno)) return ended(moved, End::kClient);
        if (given < 0 && !await_room(client, agent, transfer.bytes - moved.bytes - held))
          return ended(moved, End::kAgent);
        if (given > 0) {
          held -= static_cast<size_t>(given);
          moved.bytes += static_cast<uint64_t>(given);
        }
      }
    }
  }
  return moved;
}

void drain(int client, uint64_t bytes) {
  timespec began;
  clock_gettime(CLOCK_MONOTONIC, &began);
  char discarded[65536];
  while (bytes > 0) {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    long passed = (now.tv_sec - began.tv_sec) * 1000 + (now.tv_nsec - began.tv_nsec) / 1000000;
    pollfd one{client, POLLIN, 0};
    if (passed >= kDrainMs || poll(&one, 1, static_cast<int>(kDrainMs - passed)) <= 0) return;
    ssize_t count = recv(client, discarded, std::min<uint64_t>(bytes, sizeof(discarded)), MSG_DONTWAIT);
    if (count == 0 || (count < 0 && !is_passing(errno))) return;
    if (count > 0) bytes -= static_cast<uint64_t>(count);
  }
}

}  // namespace plybox

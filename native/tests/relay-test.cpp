#include "relay/relay.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>

#include "common/frame.h"
#include "common/unique-fd.h"
#include "tests/waits.h"

using namespace plybox;

namespace {

constexpr uint32_t kChannel = 7;
constexpr uint64_t kOffset = 1000;

struct Pair {
  UniqueFd ours;    // as the relay has it: it does not block
  UniqueFd theirs;  // the test's end
};

Pair connected() {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  test::bound_waiting(ends[1]);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string pattern(size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; i++) bytes[i] = static_cast<char>(i * 7 % 251);
  return bytes;
}

std::string data_frame(uint64_t offset, std::string_view bytes, uint8_t stream = 1, uint32_t channel = kChannel) {
  std::string frame;
  append_data_header(frame, channel, stream, offset, bytes.size());
  return frame.append(bytes);
}

std::string credit_frame(uint32_t bytes, uint32_t channel = kChannel) {
  std::string frame;
  append_credit(frame, channel, bytes);
  return frame;
}

void put(const UniqueFd& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

// Up to `count` bytes, fewer where the other side has ended.
std::string take(const UniqueFd& socket, size_t count) {
  std::string bytes(count, '\0');
  size_t got = 0;
  while (got < count) {
    ssize_t more = recv(socket.get(), bytes.data() + got, count - got, 0);
    if (more <= 0) break;
    got += static_cast<size_t>(more);
  }
  bytes.resize(got);
  return bytes;
}

// What has come and nobody has read.
std::string unread(const UniqueFd& socket) {
  std::string bytes(1 << 16, '\0');
  ssize_t count = recv(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  bytes.resize(count < 0 ? 0 : static_cast<size_t>(count));
  return bytes;
}

// One data frame of a host.
std::string take_data(const UniqueFd& agent, uint64_t& offset) {
  std::string head = take(agent, kFrameHeader + kDataHeader);
  if (head.size() < kFrameHeader + kDataHeader) return "";
  FrameHeader header = read_header(head.data());
  CHECK(header.kind == Kind::kData);
  CHECK(header.channel == kChannel);
  Data data = *parse_data(std::string_view(head).substr(kFrameHeader));
  CHECK(data.stream == 0);
  CHECK(data.offset == offset);
  std::string bytes = take(agent, header.length - kMinLength - kDataHeader);
  offset += bytes.size();
  return bytes;
}

Transfer transfer(uint64_t bytes, uint32_t credit) { return {kChannel, kOffset, credit, bytes}; }

}  // namespace

TEST_CASE("relay in: all bytes arrive in order, and never more than the agent has granted") {
  Pair client = connected(), agent = connected();
  std::string bytes = pattern(3000000);
  std::thread sender([&] { put(client.theirs, bytes); });
  std::string arrived;
  std::thread receiver([&] {
    uint64_t offset = kOffset;
    uint32_t granted = 100000;
    while (arrived.size() < bytes.size()) {
      std::string piece = take_data(agent.theirs, offset);
      if (piece.empty()) return;
      CHECK(piece.size() <= granted);
      granted -= static_cast<uint32_t>(piece.size());
      arrived += piece;
      if (granted == 0) {
        put(agent.theirs, credit_frame(250000));
        granted = 250000;
      }
    }
  });
  Moved moved = move_in(client.ours.get(), agent.ours.get(), transfer(bytes.size(), 100000));
  sender.join();
  receiver.join();
  CHECK(moved.end == End::kDone);
  CHECK(moved.bytes == bytes.size());
  CHECK(moved.credit == (100000 + 12 * 250000 - bytes.size()));
  CHECK(arrived == bytes);
}

TEST_CASE("relay in: what lies behind the body stays with the client") {
  Pair client = connected(), agent = connected();
  put(client.theirs, "0123456789GET /");
  CHECK(move_in(client.ours.get(), agent.ours.get(), transfer(10, 4096)).end == End::kDone);
  CHECK(unread(client.ours) == "GET /");
}

TEST_CASE("relay in: a client that ends early is told of, with what was moved") {
  Pair client = connected(), agent = connected();
  put(client.theirs, "0123");
  client.theirs.reset();
  Moved moved = move_in(client.ours.get(), agent.ours.get(), transfer(10, 4096));
  CHECK(moved.end == End::kClient);
  CHECK(moved.bytes == 4);
  CHECK(moved.credit == 4092);
}

TEST_CASE("relay in: what an agent says beside credit is left where it is") {
  std::string refused;
  append_frame(refused, Kind::kError, kChannel, "{\"code\":\"no-space\",\"message\":\"full\"}");
  for (const std::string& frame :
       {refused, credit_frame(5, kChannel + 1), credit_frame(0x7fffffff), credit_frame(5).substr(0, 11),
        std::string("\x05\x00\x00\x00garbage", 11), data_frame(0, "x")}) {
    Pair client = connected(), agent = connected();
    put(agent.theirs, credit_frame(1) + frame);
    Moved moved = move_in(client.ours.get(), agent.ours.get(), transfer(10, 5));
    CHECK(moved.end == End::kAgent);
    CHECK(moved.bytes == 0);
    CHECK(moved.credit == 6);
    CHECK(unread(agent.ours) == frame);
  }
}

TEST_CASE("relay in: an agent that is gone ends it, also while it owes credit") {
  for (uint32_t credit : {0u, 4096u}) {
    Pair client = connected(), agent = connected();
    agent.theirs.reset();
    CHECK(move_in(client.ours.get(), agent.ours.get(), transfer(10, credit)).end == End::kAgent);
  }
}

TEST_CASE("relay out: all bytes arrive in order, as credit is given back") {
  Pair client = connected(), agent = connected();
  std::string bytes = pattern(5000000);
  std::thread sender([&] {
    uint64_t credit = 0;
    for (size_t at = 0; at < bytes.size();) {
      while (credit == 0) {
        std::string frame = take(agent.theirs, kFrameHeader + 4);
        if (frame.size() < kFrameHeader + 4) return;
        credit += *parse_credit(std::string_view(frame).substr(kFrameHeader));
      }
      size_t count = std::min({bytes.size() - at, static_cast<size_t>(credit), size_t{262144}});
      put(agent.theirs, data_frame(kOffset + at, std::string_view(bytes).substr(at, count)));
      at += count;
      credit -= count;
    }
    put(agent.theirs, "the next frame");
  });
  std::string arrived;
  std::thread receiver([&] { arrived = take(client.theirs, bytes.size()); });
  Moved moved = move_out(client.ours.get(), agent.ours.get(), transfer(bytes.size(), 0));
  sender.join();
  receiver.join();
  CHECK(moved.end == End::kDone);
  CHECK(moved.bytes == bytes.size());
  CHECK(arrived == bytes);
  CHECK(unread(agent.ours) == "the next frame");
}

TEST_CASE("relay out: a frame that is not the next of the stream is left where it is") {
  std::string ended;
  append_end(ended, kChannel, 1, kOffset + 3);
  for (const std::string& frame :
       {ended, data_frame(kOffset + 4, "x"), data_frame(kOffset + 3, "x", 2), data_frame(kOffset + 3, "x", 1, 8),
        data_frame(kOffset + 3, ""), data_frame(kOffset + 3, "longer than it may be"), credit_frame(9),
        std::string(18, '\xff'), data_frame(kOffset + 3, "x").substr(0, 17)}) {
    Pair client = connected(), agent = connected();
    put(agent.theirs, data_frame(kOffset, "abc") + frame);
    Moved moved = move_out(client.ours.get(), agent.ours.get(), transfer(10, 0));
    CHECK(moved.end == End::kAgent);
    CHECK(moved.bytes == 3);
    CHECK(unread(agent.ours) == frame);
    CHECK(unread(client.theirs) == "abc");
  }
}

TEST_CASE("relay out: more than was granted is left where it is") {
  Pair client = connected(), agent = connected();
  // Of the window of 1 MiB more than three quarters are left then, so that no more is granted.
  std::thread sender([&] {
    put(agent.theirs, data_frame(kOffset, pattern(200000)));
    put(agent.theirs, data_frame(kOffset + 200000, pattern(900000)));
  });
  std::thread receiver([&] { take(client.theirs, 200000); });
  Moved moved = move_out(client.ours.get(), agent.ours.get(), transfer(2000000, 0));
  CHECK(moved.end == End::kAgent);
  CHECK(moved.bytes == 200000);
  agent.ours.reset();
  client.ours.reset();
  sender.join();
  receiver.join();
}

TEST_CASE("relay out: an agent that is gone inside a frame ends it") {
  Pair client = connected(), agent = connected();
  put(agent.theirs, data_frame(kOffset, "abcdef").substr(0, kFrameHeader + kDataHeader + 2));
  agent.theirs.reset();
  Moved moved = move_out(client.ours.get(), agent.ours.get(), transfer(10, 1000));
  CHECK(moved.end == End::kAgent);
  CHECK(moved.bytes == 2);
}

TEST_CASE("relay out: an agent that has sent everything may leave before it has been read") {
  Pair client = connected(), agent = connected();
  put(agent.theirs, data_frame(kOffset, "abc"));
  agent.theirs.reset();
  Moved moved = move_out(client.ours.get(), agent.ours.get(), transfer(3, 1000));
  CHECK(moved.end == End::kDone);
  CHECK(take(client.theirs, 3) == "abc");
}

TEST_CASE("relay out: a client that is gone ends it, also while nothing comes") {
  Pair client = connected(), agent = connected();
  client.theirs.reset();
  CHECK(move_out(client.ours.get(), agent.ours.get(), transfer(10, 0)).end == End::kClient);
}

TEST_CASE("relay out: a client that does not read need not wait for an agent that is gone") {
  Pair client = connected(), agent = connected();
  int small = 4096;
  setsockopt(client.ours.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
  // More than the client has room for, and no more than the agent's own socket holds: one that waits for room itself
  // would never be gone.
  put(agent.theirs, data_frame(kOffset, pattern(150000)));
  std::thread sender([&] {
    // The relay is under way then, and stands or is about to.
    pollfd given{client.theirs.get(), POLLIN, 0};
    poll(&given, 1, -1);
    agent.theirs.reset();
  });
  Moved moved = move_out(client.ours.get(), agent.ours.get(), transfer(10000000, 0));
  sender.join();
  CHECK(moved.end == End::kAgent);
  CHECK(moved.bytes > 0);
  CHECK(moved.bytes < 150000);
}

TEST_CASE("relay: what a client still sends is read, so that it gets its answer") {
  Pair client = connected();
  std::string bytes = pattern(100000);
  put(client.theirs, bytes + "rest");
  drain(client.ours.get(), bytes.size());
  CHECK(take(client.ours, 4) == "rest");
}

#include "agent/batch.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <string>

#include "common/unique-fd.h"

using namespace plybox;

TEST_CASE("bytes go out in order, however little the socket takes at once") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  UniqueFd writer(ends[0]), reader(ends[1]);
  int small = 4608;
  setsockopt(writer.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));

  std::mt19937 random(3);
  Batch batch;
  std::string expected, got;
  for (int round = 0; round < 300; round++) {
    std::string memory(random() % 20000, static_cast<char>('a' + round % 26));
    if (batch.empty()) {
      batch.text() += "head" + std::to_string(round);
      batch.append(
          {{{memory.data(), memory.size() / 2}, {memory.data() + memory.size() / 2, memory.size() - memory.size() / 2}},
           2});
      batch.text() += "tail";
      expected += "head" + std::to_string(round) + memory + "tail";
    } else {
      batch.text() += "more" + std::to_string(round);
      expected += "more" + std::to_string(round);
    }
    REQUIRE(batch.send(writer.get()));
    // What was not taken must not depend on the memory any more.
    memory.assign(memory.size(), '!');
    char chunk[4096];
    ssize_t count = read(reader.get(), chunk, 1 + random() % sizeof(chunk));
    if (count > 0) got.append(chunk, static_cast<size_t>(count));
    REQUIRE(batch.size() + got.size() <= expected.size());
  }
  while (got.size() < expected.size()) {
    REQUIRE(batch.send(writer.get()));
    char chunk[4096];
    ssize_t count = read(reader.get(), chunk, sizeof(chunk));
    if (count > 0) got.append(chunk, static_cast<size_t>(count));
  }
  CHECK(batch.empty());
  CHECK(got == expected);
}

TEST_CASE("a send to a connection that is gone says so") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  UniqueFd writer(ends[0]);
  close(ends[1]);
  Batch batch;
  CHECK(batch.send(writer.get()));
  batch.text() += "x";
  CHECK_FALSE(batch.send(writer.get()));
}

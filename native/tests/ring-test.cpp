#include "agent/ring.h"

#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <string>

using namespace plybox;

namespace {

constexpr uint64_t kKeepNothing = UINT64_MAX;

// Bytes whose values tell their offsets; they come again after kPeriod of them.
constexpr size_t kPeriod = 128 * 1024;
const std::string kBytes = [] {
  std::string bytes(2 * kPeriod, 0);
  for (size_t i = 0; i < bytes.size(); i++) bytes[i] = static_cast<char>(i * 31 + (i >> 9));
  return bytes;
}();

// At most kPeriod of them.
const char* bytes_at(uint64_t offset) { return kBytes.data() + offset % kPeriod; }

// Writes what fits of `count` bytes.
size_t write(Ring& ring, size_t count, uint64_t keep) {
  Region region = ring.prepare(count, keep);
  uint64_t offset = ring.end();
  for (int i = 0; i < region.count; i++) {
    memcpy(region.pieces[i].iov_base, bytes_at(offset), region.pieces[i].iov_len);
    offset += region.pieces[i].iov_len;
  }
  ring.commit(region.size());
  return region.size();
}

bool holds_what_it_says(const Ring& ring) {
  uint64_t offset = ring.begin();
  Region region = ring.read(offset, SIZE_MAX);
  if (region.size() != ring.end() - ring.begin()) return false;
  for (int i = 0; i < region.count; i++) {
    if (memcmp(region.pieces[i].iov_base, bytes_at(offset), region.pieces[i].iov_len) != 0) return false;
    offset += region.pieces[i].iov_len;
  }
  return true;
}

}  // namespace

TEST_CASE("a ring grows from 4 KiB to its limit and then writes over its oldest bytes") {
  Ring ring(20000);
  CHECK(ring.read(0, 100).count == 0);
  CHECK_FALSE(ring.has_memory());
  CHECK(write(ring, 100000, kKeepNothing) == 4096);
  CHECK(write(ring, 100000, kKeepNothing) == 4096);
  CHECK(write(ring, 100000, kKeepNothing) == 8192);
  CHECK(write(ring, 100000, kKeepNothing) == 20000 - 16384);
  CHECK(ring.begin() == 0);
  CHECK(ring.end() == 20000);
  CHECK(write(ring, 1, kKeepNothing) == 1);
  CHECK(ring.begin() == 1);
  CHECK(write(ring, 100000, kKeepNothing) == 20000);
  CHECK(ring.begin() == 20001);
  CHECK(holds_what_it_says(ring));
}

TEST_CASE("bytes that are to be kept are never written over") {
  Ring ring(4096);
  CHECK(write(ring, 4096, 0) == 4096);
  CHECK(write(ring, 1, 0) == 0);
  CHECK(write(ring, 4096, 10) == 10);
  CHECK(ring.begin() == 10);
  CHECK(holds_what_it_says(ring));
}

TEST_CASE("skipped and released bytes are gone, their offsets are not") {
  Ring ring(8192);
  write(ring, 100, kKeepNothing);
  ring.skip(5);
  CHECK(ring.begin() == 105);
  CHECK(ring.end() == 105);
  write(ring, 10, kKeepNothing);
  CHECK(holds_what_it_says(ring));
  ring.release();
  CHECK(ring.begin() == 115);
  CHECK(ring.read(115, 10).count == 0);
}

TEST_CASE("the first bytes of a ring take as much memory as they need") {
  for (size_t count : {1, 4096, 5000, 20000}) {
    Ring ring(20000);
    ring.skip(777);
    ring.append(bytes_at(777), count);
    CHECK(ring.begin() == 777);
    CHECK(ring.end() == 777 + count);
    CHECK(holds_what_it_says(ring));
  }
}

TEST_CASE("a sealed ring still holds what it held") {
  Ring ring(8192);
  write(ring, 5000, kKeepNothing);
  write(ring, 8000, kKeepNothing);
  write(ring, 1000, kKeepNothing);
  uint64_t begin = ring.begin();
  ring.seal();
  CHECK(ring.begin() == begin);
  CHECK(holds_what_it_says(ring));
  Ring empty(8192);
  empty.prepare(10, kKeepNothing);
  empty.seal();
  CHECK(empty.end() == 0);
}

TEST_CASE("whatever the order of writes and reads, a ring holds the last bytes of its stream") {
  std::mt19937 random(7);
  for (int round = 0; round < 50; round++) {
    size_t limit = 4096 + random() % 60000;
    Ring ring(limit);
    uint64_t sent = 0;
    for (int step = 0; step < 200; step++) {
      bool listened = random() % 2 == 0;
      uint64_t before = ring.begin();
      write(ring, random() % 30000, listened ? sent : kKeepNothing);
      if (listened && before <= sent) CHECK(ring.begin() <= sent);
      sent = std::max(sent, ring.begin());
      sent += random() % (ring.end() - sent + 1);
      REQUIRE(ring.end() - ring.begin() <= limit);
      REQUIRE(holds_what_it_says(ring));
    }
  }
}

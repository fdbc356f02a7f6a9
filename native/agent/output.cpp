#include "agent/output.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/scratch.h"

namespace plybox {
namespace {

constexpr size_t kTurnBytes = 65536;
// The most that a pipe can hold (fs.pipe-max-size): once so much has been read after the main process ended, the rest
// comes from others.
constexpr size_t kMostLeftInPipe = 1 << 20;

}  // namespace

Result<> Output::open(UniqueFd fd) {
  Result<> watched = loop_.watch(fd.get(), EPOLLIN, *this);
  if (!watched) return watched;
  fd_ = std::move(fd);
  used_ = true;
  watching_ = true;
  settled_ = false;
  return {};
}

void Output::ready(uint32_t) {
  if (read_since_end_ && !settled_) return drain();
  read_once();
}

void Output::resume() {
  if (!fd_ || watching_) return;
  watching_ = loop_.watch(fd_.get(), EPOLLIN, *this).ok();
  // Level-triggered: what waits is reported, but that nothing waits is not.
  if (read_since_end_ && !settled_) drain();
}

void Output::main_ended() {
  read_since_end_ = 0;
  if (!settled_) drain();
}

void Output::drain() {
  Got got = Got::kSome;
  while (got == Got::kSome && *read_since_end_ < kMostLeftInPipe) got = read_once();
  if (got != Got::kBlocked) settle();
}

void Output::settle() {
  settled_ = true;
  owner_.output_grew();
}

void Output::drop_rest() {
  discarding_ = true;
  resume();
  if (read_since_end_ && !settled_) settle();
}

void Output::forget() {
  drop_rest();
  ring_.release();
}

// At most 64 KiB, so that one loud command delays nobody else.
Output::Got Output::read_once() {
  if (!fd_) return Got::kEnd;
  if (discarding_) return read_and_drop();
  uint64_t allowance = owner_.output_allowance();
  if (allowance == 0) {
    // Whether there is more than the limit, or this is the end, only a read can tell.
    Got got = read_and_drop();
    if (got == Got::kSome) owner_.output_limit_hit();
    return got;
  }
  size_t want = static_cast<size_t>(std::min<uint64_t>(kTurnBytes, allowance));
  if (!ring_.has_memory()) return read_first(want);
  Region room = ring_.prepare(want, owner_.unsent_from(stream_));
  if (room.count == 0) {
    pause();
    return Got::kBlocked;
  }
  ssize_t count = readv(fd_.get(), room.pieces, room.count);
  if (count > 0) ring_.commit(static_cast<size_t>(count));
  return judge(count);
}

// By way of the scratch memory: many streams end without a byte, and need no ring.
Output::Got Output::read_first(size_t want) {
  ssize_t count = read(fd_.get(), scratch, std::min({want, ring_.limit(), kScratchBytes}));
  if (count > 0) ring_.append(scratch, static_cast<size_t>(count));
  return judge(count);
}

Output::Got Output::read_and_drop() { return judge(read(fd_.get(), scratch, kScratchBytes)); }

Output::Got Output::judge(ssize_t count) {
  if (count > 0) {
    if (read_since_end_) *read_since_end_ += static_cast<size_t>(count);
    owner_.output_grew();
    return Got::kSome;
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return Got::kNothing;
  // Nobody has it open for writing any more; a terminal says so by EIO.
  error_ = count < 0 ? errno : 0;
  close();
  ring_.seal();
  settled_ = true;
  owner_.output_ended();
  return Got::kEnd;
}

// Taken out of the set, not only masked: a hang-up is reported whatever the mask, and would turn the loop.
void Output::pause() {
  if (watching_) loop_.unwatch(fd_.get(), *this);
  watching_ = false;
}

void Output::close() {
  if (!fd_) return;
  pause();
  fd_.reset();
}

}  // namespace plybox

// One stream towards the host, of a command or a socket: where it comes from, and the ring that keeps what came.
#pragma once
#include <cstdint>
#include <optional>

#include "agent/event-loop.h"
#include "agent/ring.h"
#include "common/unique-fd.h"

namespace plybox {

// What an Output asks of whom it belongs to.
class OutputOwner {
 public:
  // Bytes from this offset on have not been sent to the host that listens; the end of the stream where none listens.
  virtual uint64_t unsent_from(uint8_t stream) const = 0;
  // How many bytes more may come out before the output limit.
  virtual uint64_t output_allowance() const = 0;
  // There are new bytes, or those that the main process left have been read.
  virtual void output_grew() = 0;
  virtual void output_ended() = 0;
  virtual void output_limit_hit() = 0;

 protected:
  ~OutputOwner() = default;
};

class Output final : public Watched {
 public:
  Output(EventLoop& loop, OutputOwner& owner, uint8_t stream, size_t ring_bytes)
      : loop_(loop), owner_(owner), stream_(stream), ring_(ring_bytes) {}
  ~Output() { close(); }

  // `fd` does not block. A stream that is never opened has ended at 0.
  Result<> open(UniqueFd fd);

  uint8_t stream() const { return stream_; }
  bool used() const { return used_; }
  const Ring& ring() const { return ring_; }
  bool ended() const { return !fd_; }
  // The errno that ended it; 0 for an orderly end.
  int error() const { return error_; }
  int fd() const { return fd_.get(); }

  // Where reading had stopped for want of room: there may be room again.
  void resume();
  // The command's main process has ended: reads what it left. settled() answers when that has been read; what comes
  // after it is from processes in the background.
  void main_ended();
  bool settled() const { return settled_; }
  // Reads on but keeps nothing of it: a writer must be neither stopped nor struck by SIGPIPE.
  void drop_rest();
  // The same, and what the ring holds is dropped too.
  void forget();

  void ready(uint32_t events) override;

 private:
  enum class Got { kSome, kNothing, kBlocked, kEnd };
  Got read_once();
  Got read_first(size_t want);
  Got read_and_drop();
  Got judge(ssize_t count);
  void drain();
  void settle();
  void pause();
  void close();

  EventLoop& loop_;
  OutputOwner& owner_;
  uint8_t stream_;
  Ring ring_;
  UniqueFd fd_;
  bool used_ = false;
  bool watching_ = false;
  bool discarding_ = false;
  bool settled_ = true;
  int error_ = 0;
  // Bytes read since the main process ended; nothing while it runs.
  std::optional<size_t> read_since_end_;
};

}  // namespace plybox

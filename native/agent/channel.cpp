#include "agent/channel.h"

#include <algorithm>

namespace plybox {
namespace {

// Granting in portions saves frames. The host never starves: what it may not send is owed, waits in the input, or is
// less than this.
constexpr uint32_t kGrantBytes = 65536;

}  // namespace

bool Channel::spend_window(size_t count) {
  if (count > window_) return false;
  window_ -= static_cast<uint32_t>(count);
  return true;
}

bool Channel::add_credit(uint32_t count) {
  if (count > kMaxCredit - credit_) return false;
  credit_ += count;
  owner_.touch();
  return true;
}

void Channel::grant(size_t count) {
  // Of what an earlier channel's host sent, this one's host is owed nothing.
  owed_ = static_cast<uint32_t>(std::min<size_t>(owed_ + count, kInitialCredit - window_));
  if (owed_ < kGrantBytes) return;
  append_credit(owner_.outgoing(), number_, owed_);
  window_ += owed_;
  owed_ = 0;
  owner_.touch();
}

}  // namespace plybox

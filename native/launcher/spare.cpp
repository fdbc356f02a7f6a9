#include "launcher/spare.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/syscalls.h"
#include "launcher/loopback.h"

namespace plybox {
namespace {

Failure failed() { return Failure::here("namespaces"); }

// The holder was cloned into the network namespace, so that this belongs to the host's user namespace and root inside
// has no power over it; only then it goes into a user namespace of its own.
[[noreturn]] void hold(int ready, pid_t launcher) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // A launcher that ended before this sends no signal any more.
  if (getppid() != launcher) _exit(0);
  bool made = raise_loopback() && enter_user_namespace();
  char answer = made ? 0 : static_cast<char>(errno);
  (void)!write(ready, &answer, 1);
  // It lives on while sandboxes end: their descriptors must not live with it.
  sys::close_range(0, ~0U, 0);
  for (;;) pause();
}

UniqueFd open_namespace(pid_t pid, const char* name) {
  char path[64];
  snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
  return UniqueFd(open(path, O_RDONLY | O_CLOEXEC));
}

}  // namespace

void Spare::prepare() {
  for (size_t i = ended_.size(); i-- > 0;)
    if (waitpid(ended_[i], nullptr, WNOHANG) != 0) ended_.erase(ended_.begin() + static_cast<ptrdiff_t>(i));
  // A failure shows again when a launch needs them, and is reported there.
  if (holder_ == 0) (void)begin();
}

void Spare::settle() {
  for (pid_t pid : ended_) waitpid(pid, nullptr, 0);
  ended_.clear();
}

Result<> Spare::begin() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return failed();
  UniqueFd readable(ends[0]);
  UniqueFd writable(ends[1]);
  sys::CloneArgs args;
  args.flags = CLONE_NEWNET;
  pid_t launcher = getpid();
  pid_t pid = sys::clone3(args);
  if (pid == 0) hold(writable.get(), launcher);
  if (pid < 0) return failed();
  holder_ = pid;
  ready_ = std::move(readable);
  return {};
}

Result<Namespaces> Spare::take(IdMap ids) {
  if (holder_ == 0)
    if (Result<> begun = begin(); !begun) return begun.failure();
  char answer = 0;
  Result<Namespaces> taken = Failure{"namespaces", EIO};
  if (read(ready_.get(), &answer, 1) != 1 || answer != 0) {
    taken = Failure{"namespaces", answer == 0 ? EIO : answer};
  } else {
    Namespaces namespaces{open_namespace(holder_, "user"), open_namespace(holder_, "net")};
    if (namespaces.user && namespaces.network && write_id_maps(holder_, ids, ids))
      taken = std::move(namespaces);
    else
      taken = failed();
  }
  end_holder();
  return taken;
}

void Spare::end_holder() {
  kill(holder_, SIGKILL);
  // Reaped later: a launch does not wait for it to end.
  ended_.push_back(holder_);
  holder_ = 0;
  ready_.reset();
}

}  // namespace plybox

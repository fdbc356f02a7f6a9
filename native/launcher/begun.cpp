#include "launcher/begun.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "common/syscalls.h"

namespace plybox {
namespace {

constexpr int kRemovalTries = 1000;

}  // namespace

Begun::Begun(const Stage& stage) : stage_(stage), stack_(make_stack()), launcher_(sys::pidfd_open(getpid(), 0)) {}

Result<std::unique_ptr<Begun>> Begun::start(const Stage& stage) {
  std::unique_ptr<Begun> self(new Begun(stage));
  if (self->stack_.bottom == nullptr || !self->launcher_) return Failure::here("begin");
  self->has_thread_ = pthread_create(&self->thread_, nullptr, serve, self.get()) == 0;
  if (!self->has_thread_) return Failure{"begin", EAGAIN};
  self->begun_.await();
  if (!self->is_apart_) return Failure{"begin", EPERM};
  return self;
}

Begun::~Begun() {
  if (!has_thread_) return;
  take_back();
  is_ending_ = true;
  wanted_.raise();
  pthread_join(thread_, nullptr);
}

void Begun::begin(const Ground& ground) {
  if (is_on(ground)) return;
  take_back();
  ground_ = ground;
  state_ = State::kBeginning;
  begun_.lower();
  wanted_.raise();
}

bool Begun::is_on(const Ground& ground) const { return state_ != State::kNone && is_same_ground(ground_, ground); }

bool Begun::has_ids_of(const Ground& ground) const {
  return state_ != State::kNone && ground_.id_base == ground.id_base;
}

bool Begun::settle() {
  if (state_ == State::kBeginning) {
    begun_.await();
    state_ = State::kWaiting;
  }
  // It could not be begun, or somebody has killed it.
  if (state_ == State::kWaiting && (!has_begun_ || finished_.is_raised())) take_back();
  return state_ == State::kWaiting;
}

PreparedGround Begun::take_ground() { return std::move(prepared_); }

void Begun::go_on(const Start& start) {
  start_ = &start;
  plan_.raise();
}

Cloned Begun::finish() {
  finished_.await();
  state_ = State::kNone;
  if (!has_heard_) plan_.lower();
  return std::move(child_);
}

void Begun::take_back() {
  if (state_ == State::kBeginning) begun_.await();
  if (state_ == State::kNone) return;
  start_ = nullptr;
  if (has_begun_) plan_.raise();
  finish().reap();
  prepared_ = {};
  for (const CgroupPlan& cgroup : ground_.cgroups)
    // Some kernels let go of a process a little later than they say that it has ended.
    for (int tries = 0; tries < kRemovalTries; tries++) {
      if (rmdir(cgroup.path.c_str()) == 0 || errno != EBUSY) break;
      poll(nullptr, 0, 1);
    }
}

// The thread. Its directory and root are its own, so that it may go onto the stage alone.
void* Begun::serve(void* argument) {
  Begun& self = *static_cast<Begun*>(argument);
  self.is_apart_ = unshare(CLONE_FS) == 0;
  self.begun_.raise();
  for (;;) {
    self.wanted_.await();
    if (self.is_ending_) return nullptr;
    self.begin_one();
  }
}

void Begun::begin_one() {
  record_ = {};
  has_begun_ = has_heard_ = false;
  child_ = {};
  bool is_prepared = prepare_ground(ground_, spare_, prepared_, "", record_);
  spare_.settle();
  if (is_prepared && stage_.enter()) {
    child_ = clone_onto(ground_, prepared_, CLONE_FILES, stack_, run_child, this);
    if (Result<> left = stage_.leave(); !left) abort();
  }
  // A child that was killed may not have come to it.
  begun_.raise();
  finished_.raise();
}

int Begun::run_child(void* argument) {
  Begun& self = *static_cast<Begun*>(argument);
  if (!lay_ground(self.ground_, self.prepared_, "", self.record_)) _exit(1);
  self.wait_for_plan();
  const Start& start = *self.start_;
  // From here on its descriptors are its own: all that the launcher has opened for it meanwhile is among them.
  if (unshare(CLONE_FILES) == 0)
    become_agent(start);
  else
    start.record.fail(Failure::here("descriptors"));
  _exit(1);
}

void Begun::wait_for_plan() {
  // Who ended before this sends no signal any more.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd ended{launcher_.get(), POLLIN, 0};
  if (poll(&ended, 1, 0) != 0) _exit(0);
  // What it did to its ids has made the launcher's memory one that nobody may look at.
  prctl(PR_SET_DUMPABLE, 1);
  has_begun_ = true;
  begun_.raise();
  plan_.await();
  has_heard_ = true;
  if (start_ == nullptr) _exit(0);
  // An agent outlives the launcher, unless its plan says otherwise.
  prctl(PR_SET_PDEATHSIG, 0);
}

}  // namespace plybox

// A sandbox that is begun before anybody has asked for it: its ground, laid while the launcher has nothing else to do,
// and a child on it that waits for the plan. A thread of its own clones the child and waits for it as after vfork; so
// the kernel spares both where a cgroup has too little memory, and what the child has borrowed of the launcher's memory
// is its alone. There is one at a time.
#pragma once
#include <pthread.h>
#include <sys/types.h>

#include <memory>

#include "common/flag.h"
#include "common/result.h"
#include "common/unique-fd.h"
#include "launcher/child.h"
#include "launcher/ground.h"
#include "launcher/spare.h"
#include "launcher/stage.h"
#include "launcher/steps.h"

namespace plybox {

class Begun {
 public:
  // Starts the thread. `stage` lives as long.
  static Result<std::unique_ptr<Begun>> start(const Stage& stage);
  Begun(const Begun&) = delete;
  Begun& operator=(const Begun&) = delete;
  // Takes back what is begun.
  ~Begun();

  // Begins one on this ground, unless that is what is begun. Does not wait, but for the taking back of another.
  void begin(const Ground& ground);
  // Whether one is begun on just this ground, or about to be.
  bool is_on(const Ground& ground) const;
  // Whether the ids of one that is begun are those of this ground.
  bool has_ids_of(const Ground& ground) const;
  // Waits until it is begun; from then on nothing of it runs before `go_on`. False: it could not be begun, or is no
  // more, and nothing is left of it.
  bool settle();
  // What is prepared for it, for whoever is to go on with it.
  PreparedGround take_ground();
  // Lets the child become the agent. To be followed by `finish`, until when `start` and all that it names must live.
  void go_on(const Start& start);
  // Waits until the child is the agent or has failed, which the record of its start says; or was killed before it heard
  // of its plan.
  Cloned finish();
  // Whether the child that has finished had heard of its plan.
  bool has_heard() const { return has_heard_; }
  bool is_there() const { return state_ != State::kNone; }
  void take_back();

 private:
  explicit Begun(const Stage& stage);
  static void* serve(void* self);
  static int run_child(void* self);
  void begin_one();
  void wait_for_plan();

  enum class State { kNone, kBeginning, kWaiting };

  const Stage& stage_;
  Stack stack_;
  UniqueFd launcher_;  // a pidfd
  pthread_t thread_{};
  bool has_thread_ = false;
  bool is_ending_ = false;
  // Of the launcher's thread alone.
  State state_ = State::kNone;
  // Handed from one to the other with the flags below.
  Ground ground_;
  PreparedGround prepared_;
  StepRecord record_{};
  Spare spare_;
  Cloned child_;
  bool is_apart_ = false;
  bool has_begun_ = false;
  bool has_heard_ = false;
  const Start* start_ = nullptr;
  Flag wanted_;    // for the thread: a ground is to be laid, or the end has come
  Flag begun_;     // by the child when it waits, or by the thread when there is none that will
  Flag plan_;      // for the child: `start_` is what it is to do, or null for its end
  Flag finished_;  // by the thread: the child is the agent, or has ended
};

}  // namespace plybox

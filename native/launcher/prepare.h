// What of a launch is done on the host for what is asked for, before the child builds it.
#pragma once
#include "common/result.h"
#include "launcher/child.h"
#include "launcher/plan.h"
#include "launcher/steps.h"

namespace plybox {

// Remembers what a launch has made on the host, and takes it back unless it is kept.
class HostTraces {
 public:
  HostTraces() = default;
  HostTraces(const HostTraces&) = delete;
  HostTraces& operator=(const HostTraces&) = delete;
  ~HostTraces();

  void add_mount(std::string path) { mounts_.push_back(std::move(path)); }
  void add_directory(std::string path) { directories_.push_back(std::move(path)); }
  void add_socket(std::string path) { sockets_.push_back(std::move(path)); }
  void add_cgroup(std::string path) { cgroups_.push_back(std::move(path)); }
  void keep() { kept_ = true; }

 private:
  std::vector<std::string> mounts_;
  std::vector<std::string> directories_;
  std::vector<std::string> sockets_;
  std::vector<std::string> cgroups_;
  bool kept_ = false;
};

// Runs the host's steps in order, on the ground that is prepared; what they make is in `traces`. False: `record` says
// why.
bool prepare_on_host(const LaunchPlan& plan, Prepared& prepared, HostTraces& traces, StepRecord& record);

}  // namespace plybox

// The decoder of launch plans: any text is either a plan within the protocol's ranges or refused with a reason.
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "common/refusal.h"
#include "launcher/plan.h"

using namespace plybox;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void require_path(const std::string& path) {
  require(is_normal_path(path) && path.find('\0') == path.npos && path.find("/../") == path.npos);
}

void check(const LaunchPlan& plan) {
  require(plan.layers.size() >= 1 && plan.layers.size() <= 64);
  for (const LayerPlan& layer : plan.layers) require_path(layer.path);
  require_path(plan.upper.path);
  require((plan.upper.bytes > 0) == (plan.upper.kind == UpperPlan::Kind::kTmpfs));
  require(plan.upper.image.empty() == (plan.upper.kind != UpperPlan::Kind::kImage));
  for (const BindPlan& bind : plan.binds) {
    require_path(bind.source);
    require_path(bind.target);
    require(bind.target != "/");
    for (const std::string& path : bind.hide) {
      require(!path.empty());
      require_path("/" + path);
    }
  }
  // Never the host's root, and never the id that means none.
  require(plan.id_base > 0 && plan.id_count > 0 && uint64_t{plan.id_base} + plan.id_count <= UINT32_MAX);
  for (uint64_t flag : {CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER}) require((plan.namespaces & flag) != 0);
  for (const CgroupPlan& cgroup : plan.cgroups) {
    require_path(cgroup.path);
    for (const auto& [file, value] : cgroup.set) require(!file.empty() && file.find('/') == file.npos);
  }
  for (const std::string& filter : {plan.seccomp.sandbox, plan.seccomp.commands})
    require(filter.size() % 8 == 0 && filter.size() <= 32768);
  for (const FilePlan& file : plan.files) require_path(file.path);
  for (const std::string& variable : plan.environment) require(variable.find('=') != 0);
  require_path(plan.agent_socket);
  require(plan.agent_socket.size() <= 107);
}

// The seeds name their filter by this descriptor, which is that of a file in memory.
constexpr int kFilterFd = 100;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  int fd = memfd_create("filter", 0);
  require(fd >= 0 && pwrite(fd, "\x06\0\0\0\0\0\xff\x7f", 8, 0) == 8 && dup2(fd, kFilterFd) == kFilterFd);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  for (bool allow_faults : {false, true}) {
    JsonDocument document;
    LaunchPlan plan = read_plan(document.parse(text), allow_faults);
    if (!document.problem().found()) {
      check(plan);
      require(allow_faults || plan.fail_at.empty());
      continue;
    }
    JsonDocument answer;
    answer.parse(to_json(Refusal::bad_request(document.problem()))).string("code");
    require(!answer.problem().found());
  }
  return 0;
}

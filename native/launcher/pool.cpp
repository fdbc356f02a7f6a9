#include "launcher/pool.h"

#include <errno.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>

#include "common/syscalls.h"
#include "launcher/loop.h"
#include "launcher/mounts.h"
#include "launcher/plan.h"

#ifndef BTRFS_QUOTA_CTL_ENABLE_SIMPLE_QUOTA
#define BTRFS_QUOTA_CTL_ENABLE_SIMPLE_QUOTA 4
#endif

namespace plybox {
namespace {

constexpr const char* kStep = "subvolumes";
constexpr size_t kMaxSteps = 4096;
// A group of groups is of level 1; those of level 0 are the subvolumes themselves.
constexpr uint64_t kGroupLevel = uint64_t{1} << BTRFS_QGROUP_LEVEL_SHIFT;
constexpr uint64_t kMaxGroup = kGroupLevel - 1;

struct Named {
  std::string_view name;
  PoolStep::Kind kind;
};
constexpr Named kKinds[] = {
    {"limit", PoolStep::Kind::kLimit},   {"create", PoolStep::Kind::kCreate}, {"snapshot", PoolStep::Kind::kSnapshot},
    {"delete", PoolStep::Kind::kDelete}, {"prune", PoolStep::Kind::kPrune},
};

PoolStep read_step(JsonObject step) {
  PoolStep result{};
  std::string_view name = step.string("do");
  const Named* found = nullptr;
  for (const Named& entry : kKinds)
    if (entry.name == name) found = &entry;
  if (found == nullptr) step.refuse("do", "is none of limit, create, snapshot, delete and prune");
  result.kind = found == nullptr ? PoolStep::Kind::kPrune : found->kind;
  result.path = read_path(step, "path");
  if (result.path == "/") step.refuse("path", "is the root");
  bool snapshot = result.kind == PoolStep::Kind::kSnapshot;
  if (snapshot) {
    result.source = read_path(step, "source");
    result.read_only = step.boolean("readOnly");
  }
  if (result.kind == PoolStep::Kind::kLimit) result.bytes = step.optional_integer("bytes", 0, uint64_t{1} << 50);
  if (snapshot || result.kind == PoolStep::Kind::kLimit || result.kind == PoolStep::Kind::kCreate)
    result.group = step.integer("group", 1, kMaxGroup);
  step.finish();
  return result;
}

// A path as the directory that it is in, and its name there, which a subvolume is made and deleted by.
struct Place {
  UniqueFd directory;
  std::string name;
};

Result<Place> open_place(const std::string& path) {
  size_t slash = path.rfind('/');
  std::string name = path.substr(slash + 1);
  if (name.size() >= BTRFS_SUBVOL_NAME_MAX) return Failure{kStep, ENAMETOOLONG};
  UniqueFd directory(open(path.substr(0, slash).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return Failure::here(kStep);
  return Place{std::move(directory), std::move(name)};
}

// The structure ends in an array of groups, which is of one here.
struct Membership {
  static constexpr size_t kBytes = sizeof(btrfs_qgroup_inherit) + sizeof(uint64_t);
  alignas(btrfs_qgroup_inherit) char bytes[kBytes] = {};

  explicit Membership(uint64_t group) {
    btrfs_qgroup_inherit head{};
    head.num_qgroups = 1;
    uint64_t id = kGroupLevel | group;
    memcpy(bytes, &head, sizeof(head));
    memcpy(bytes + sizeof(head), &id, sizeof(id));
  }
};

Result<> make(const PoolStep& step, unsigned long request, int source) {
  Result<Place> place = open_place(step.path);
  if (!place) return place.failure();
  Membership membership(step.group);
  btrfs_ioctl_vol_args_v2 arguments{};
  arguments.fd = source;
  arguments.flags = BTRFS_SUBVOL_QGROUP_INHERIT | (step.read_only ? BTRFS_SUBVOL_RDONLY : 0);
  arguments.size = Membership::kBytes;
  arguments.qgroup_inherit = reinterpret_cast<btrfs_qgroup_inherit*>(membership.bytes);
  memcpy(arguments.name, place->name.data(), place->name.size());
  if (ioctl(place->directory.get(), request, &arguments) < 0) return Failure::here(kStep);
  return {};
}

// A snapshot holds what was written to its source before: the kernel writes that first, and commits.
Result<> make_snapshot(const PoolStep& step) {
  UniqueFd source(open(step.source.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!source) return Failure::here(kStep);
  return make(step, BTRFS_IOC_SNAP_CREATE_V2, source.get());
}

Result<> set_limit(const PoolStep& step) {
  UniqueFd pool(open(step.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!pool) return Failure::here(kStep);
  btrfs_ioctl_qgroup_create_args create{1, kGroupLevel | step.group};
  if (ioctl(pool.get(), BTRFS_IOC_QGROUP_CREATE, &create) < 0 && errno != EEXIST) return Failure::here(kStep);
  if (!step.bytes) return {};
  btrfs_ioctl_qgroup_limit_args limit{};
  limit.qgroupid = kGroupLevel | step.group;
  limit.lim.flags = BTRFS_QGROUP_LIMIT_MAX_RFER;
  limit.lim.max_rfer = *step.bytes;
  if (ioctl(pool.get(), BTRFS_IOC_QGROUP_LIMIT, &limit) < 0) return Failure::here(kStep);
  return {};
}

Result<> delete_subvolume(const PoolStep& step) {
  Result<Place> place = open_place(step.path);
  if (!place) return place.failure().error == ENOENT ? Result<>() : place.failure();
  btrfs_ioctl_vol_args arguments{};
  memcpy(arguments.name, place->name.data(), place->name.size());
  if (ioctl(place->directory.get(), BTRFS_IOC_SNAP_DESTROY, &arguments) < 0 && errno != ENOENT)
    return Failure::here(kStep);
  return {};
}

// Takes away the groups that nothing is in any more; the kernel refuses every other. Those of a subvolume that was
// deleted are busy until the kernel has taken it apart.
Result<> prune_groups(const PoolStep& step) {
  UniqueFd pool(open(step.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!pool) return Failure::here(kStep);
  btrfs_ioctl_search_args search{};
  search.key.tree_id = BTRFS_QUOTA_TREE_OBJECTID;
  // Limits are items of object 0; what follows are memberships.
  search.key.min_objectid = search.key.max_objectid = 0;
  search.key.min_type = search.key.max_type = BTRFS_QGROUP_LIMIT_KEY;
  search.key.min_offset = kGroupLevel;
  search.key.max_offset = search.key.max_transid = UINT64_MAX;
  for (;;) {
    search.key.nr_items = 4096;
    if (ioctl(pool.get(), BTRFS_IOC_TREE_SEARCH, &search) < 0) return Failure::here(kStep);
    if (search.key.nr_items == 0) return {};
    const char* next = search.buf;
    for (uint32_t i = 0; i < search.key.nr_items; i++) {
      btrfs_ioctl_search_header header;
      memcpy(&header, next, sizeof(header));
      next += sizeof(header) + header.len;
      search.key.min_offset = header.offset + 1;
      if (header.type != BTRFS_QGROUP_LIMIT_KEY || header.offset < kGroupLevel) continue;
      btrfs_ioctl_qgroup_create_args remove{0, header.offset};
      (void)ioctl(pool.get(), BTRFS_IOC_QGROUP_CREATE, &remove);
    }
  }
}

Result<> run_step(const PoolStep& step) {
  switch (step.kind) {
    case PoolStep::Kind::kLimit:
      return set_limit(step);
    case PoolStep::Kind::kCreate:
      return make(step, BTRFS_IOC_SUBVOL_CREATE_V2, 0);
    case PoolStep::Kind::kSnapshot:
      return make_snapshot(step);
    case PoolStep::Kind::kDelete:
      return delete_subvolume(step);
    case PoolStep::Kind::kPrune:
      return prune_groups(step);
  }
  return {};
}

// Answers whether something is mounted there; makes the directory where it is missing.
Result<bool> prepare_target(const char* step, const std::string& target) {
  if (mkdir(target.c_str(), 0700) != 0 && errno != EEXIST) return Failure::here(step);
  return is_mount_point(step, target.c_str());
}

// Bytes are counted for who wrote them, which costs next to nothing; the older way counts who shares them, at every
// commit. Since Linux 6.7.
Result<> count_simply(const std::string& target) {
  UniqueFd pool(open(target.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!pool) return Failure::here("count-bytes");
  btrfs_ioctl_quota_ctl_args control{};
  control.cmd = BTRFS_QUOTA_CTL_ENABLE_SIMPLE_QUOTA;
  if (ioctl(pool.get(), BTRFS_IOC_QUOTA_CTL, &control) < 0 && errno != EEXIST) return Failure::here("count-bytes");
  return {};
}

bool is_in_memory(const std::string& image) {
  struct statfs status;
  return statfs(image.c_str(), &status) == 0 && status.f_type == TMPFS_MAGIC;
}

}  // namespace

std::vector<PoolStep> read_pool_steps(JsonObject& request) {
  std::vector<PoolStep> steps;
  JsonArray array = request.array("steps");
  if (array.size() > kMaxSteps) request.refuse("steps", "are more than 4096");
  for (size_t i = 0; i < array.size(); i++) steps.push_back(read_step(array.object(i)));
  return steps;
}

Result<> run_pool_steps(const std::vector<PoolStep>& steps) {
  for (const PoolStep& step : steps)
    if (Result<> done = run_step(step); !done) return done;
  return {};
}

Result<> mount_memory(const std::string& target, uint64_t bytes) {
  Result<bool> mounted = prepare_target("mount-memory", target);
  if (!mounted) return mounted.failure();
  if (*mounted) return {};
  char size[32];
  snprintf(size, sizeof(size), "%llu", static_cast<unsigned long long>(bytes));
  const char* const options[] = {"source", "plybox", "mode", "0700", "size", size, nullptr};
  Result<UniqueFd> mount = make_mount("mount-memory", "tmpfs", MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, options);
  if (!mount) return mount.failure();
  return attach("mount-memory", mount->get(), target.c_str());
}

Result<> mount_pool(const std::string& image, const std::string& target) {
  Result<bool> mounted = prepare_target("mount-pool", target);
  if (!mounted) return mounted.failure();
  if (!*mounted) {
    bool in_memory = is_in_memory(image);
    // Of pages that are copied from memory to memory, direct writes make small ones.
    Result<LoopDevice> device = attach_writable(image, in_memory ? LoopWrites::kBuffered : LoopWrites::kDirect);
    if (!device) return device.failure();
    const char* const options[] = {"source", device->path, "discard", "async",
                                   // Memory does not decay: sums of what lies there would only take time.
                                   in_memory ? "nodatasum" : "datasum", "",
                                   // In seconds. The kernel takes subvolumes that were deleted apart when it looks
                                   // whether to commit; until then each of them makes every snapshot take longer.
                                   "commit", in_memory ? "1" : "5", nullptr};
    constexpr unsigned kAttributes = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOATIME;
    Result<UniqueFd> mount = make_mount("mount-pool", "btrfs", kAttributes, options);
    if (!mount) return mount.failure();
    if (Result<> attached = attach("mount-pool", mount->get(), target.c_str()); !attached) return attached;
  }
  return count_simply(target);
}

}  // namespace plybox

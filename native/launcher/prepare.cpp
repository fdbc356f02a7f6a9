#include "launcher/prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/syscalls.h"
#include "launcher/grafted.h"
#include "launcher/loop.h"
#include "launcher/mounts.h"
#include "launcher/user-namespace.h"

namespace plybox {
namespace {

struct Host {
  const LaunchPlan& plan;
  Prepared& prepared;
  HostTraces& traces;
  StepRecord& record;
};

Result<> make_directory(const std::string& path, mode_t mode, HostTraces& traces) {
  if (mkdir(path.c_str(), mode) == 0) {
    traces.add_directory(path);
    return {};
  }
  return errno == EEXIST ? Result<>() : Failure::here("upper");
}

Result<> mount_tmpfs(const UpperPlan& upper, HostTraces& traces) {
  char bytes[32];
  char inodes[32];
  snprintf(bytes, sizeof(bytes), "%llu", static_cast<unsigned long long>(upper.bytes));
  snprintf(inodes, sizeof(inodes), "%llu", static_cast<unsigned long long>(upper.inodes));
  const char* const options[] = {"huge", "within_size", "source",    "plybox", "mode", "0700",
                                 "size", bytes,         "nr_inodes", inodes,   nullptr};
  constexpr unsigned kAttributes = MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID;
  // Large pages where a file fills them (docs/decisions/0008): writing one takes half the time.
  Result<UniqueFd> mount = make_mount("upper", "tmpfs", kAttributes, options);
  // A kernel without them does not know the first option.
  if (!mount && mount.failure().error == EINVAL) mount = make_mount("upper", "tmpfs", kAttributes, options + 2);
  if (!mount) return mount.failure();
  if (Result<> attached = attach("upper", mount->get(), upper.path.c_str()); !attached) return attached;
  traces.add_mount(upper.path);
  return {};
}

Result<> mount_image(const UpperPlan& upper, HostTraces& traces) {
  Result<LoopDevice> device = attach_writable(upper.image);
  if (!device) return device.failure();
  const char* const options[] = {
      // The file is all zeros where nothing was written: zeroing its tables would only take room.
      "source", device->path, "noinit_itable", "",
      // What is removed inside is free outside too.
      "discard", "",
      // After an error nothing is made worse; the next start mends it.
      "errors", "remount-ro", nullptr};
  Result<UniqueFd> mount = make_mount("upper", "ext4", MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID, options);
  if (!mount) return mount.failure();
  if (Result<> attached = attach("upper", mount->get(), upper.path.c_str()); !attached) return attached;
  traces.add_mount(upper.path);
  return {};
}

// An upper in memory outlives the sandbox's processes, so it is found mounted when a sandbox starts again.
Result<> mount_upper(const UpperPlan& upper, HostTraces& traces) {
  if (Result<> made = make_directory(upper.path, 0700, traces); !made) return made;
  Result<bool> mounted = is_mount_point("upper", upper.path.c_str());
  if (!mounted) return mounted.failure();
  if (*mounted) return {};
  return upper.kind == UpperPlan::Kind::kTmpfs ? mount_tmpfs(upper, traces) : mount_image(upper, traces);
}

Result<> open_quota(Host& host) {
  const std::optional<QuotaPlan>& quota = host.plan.upper.quota;
  if (!quota) return {};
  host.prepared.referenced.reset(open(quota->referenced.c_str(), O_RDONLY | O_CLOEXEC));
  host.prepared.reserved.reset(open(quota->reserved.c_str(), O_RDONLY | O_CLOEXEC));
  return host.prepared.referenced && host.prepared.reserved ? Result<>() : Failure::here("upper");
}

Result<> make_upper(Host& host) {
  const UpperPlan& upper = host.plan.upper;
  if (upper.kind != UpperPlan::Kind::kDisk)
    if (Result<> mounted = mount_upper(upper, host.traces); !mounted) return mounted;
  // A disk upper keeps nothing that a failed launch would have to take back but these two.
  for (const char* name : {"/upper", "/work"})
    if (Result<> made = make_directory(upper.path + name, 0755, host.traces); !made) return made;
  sweep_grafted(upper.path);
  if (Result<> opened = open_quota(host); !opened) return opened;

  Result<UniqueFd> copy = copy_mount("upper", AT_FDCWD, upper.path.c_str(), 0);
  if (!copy) return copy.failure();
  if (!host.prepared.ground.rootless)
    if (Result<> mapped = idmap_mount("upper", copy->get(), host.prepared.ground.namespaces.user.get()); !mapped)
      return mapped;
  host.prepared.upper = copy.take();
  return {};
}

Result<> open_layers(Host& host) {
  for (const LayerPlan& layer : host.plan.layers) {
    Result<UniqueFd> copy = copy_mount("layers", AT_FDCWD, layer.path.c_str(), AT_SYMLINK_NOFOLLOW);
    if (!copy) return copy.failure();
    if (layer.idmap)
      if (Result<> mapped = idmap_mount("layers", copy->get(), host.prepared.ground.namespaces.user.get()); !mapped)
        return mapped;
    host.prepared.layers.push_back(copy.take());
  }
  return {};
}

// Presents the owner of a bind's source as root inside, and everybody else as nobody.
Result<> map_owner(Host& host, int mount, const struct stat& status) {
  if (status.st_uid == 0 && status.st_gid == 0)
    return idmap_mount("open-binds", mount, host.prepared.ground.namespaces.user.get());
  Result<UniqueFd> map =
      make_user_namespace({status.st_uid, host.plan.id_base, 1}, {status.st_gid, host.plan.id_base, 1});
  if (!map) return map.failure();
  return idmap_mount("open-binds", mount, map->get());
}

// The places in a bind that are not to be seen, held by descriptors: whoever may write to the source can rename what
// leads to them, and they are covered all the same. One that is not there needs no cover.
Result<std::vector<PreparedBind::Hidden>> open_hidden(int mount, const BindPlan& bind) {
  std::vector<PreparedBind::Hidden> places;
  for (const std::string& path : bind.hide) {
    UniqueFd place = open_without_links(mount, path.c_str());
    if (!place && errno == ENOENT) continue;
    struct stat status;
    if (!place || fstat(place.get(), &status) != 0) return Failure::here("open-binds");
    places.push_back({std::move(place), S_ISDIR(status.st_mode)});
  }
  return places;
}

Result<> open_bind(Host& host, const BindPlan& bind) {
  // What was named has been resolved when it was named; a link in its path now is somebody else's doing.
  UniqueFd source = open_without_links(AT_FDCWD, bind.source.c_str());
  struct stat status;
  if (!source || fstat(source.get(), &status) != 0) return Failure::here("open-binds");
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) return Failure{"open-binds", EINVAL};
  Result<UniqueFd> copy = copy_mount("open-binds", source.get(), "", AT_EMPTY_PATH | AT_RECURSIVE);
  if (!copy) return copy.failure();
  struct stat copied;
  if (fstat(copy->get(), &copied) != 0) return Failure::here("open-binds");
  if (copied.st_dev != status.st_dev || copied.st_ino != status.st_ino) return Failure{"open-binds", ESTALE};
  uint64_t attributes =
      MOUNT_ATTR_NODEV | (bind.setuid ? 0 : MOUNT_ATTR_NOSUID) | (bind.read_only ? MOUNT_ATTR_RDONLY : 0);
  if (Result<> set = set_attributes("open-binds", copy->get(), attributes, AT_RECURSIVE); !set) return set;
  // Rootless, whoever may be root inside is the user, whose files are root's then.
  if (bind.owner == BindPlan::Owner::kRoot && !host.prepared.ground.rootless)
    if (Result<> mapped = map_owner(host, copy->get(), status); !mapped) return mapped;
  Result<std::vector<PreparedBind::Hidden>> hidden = open_hidden(copy->get(), bind);
  if (!hidden) return hidden.failure();
  host.prepared.binds.push_back({copy.take(), bind.target, S_ISDIR(status.st_mode), hidden.take()});
  return {};
}

Result<> open_binds(Host& host) {
  for (const BindPlan& bind : host.plan.binds) {
    if (Result<> opened = open_bind(host, bind); !opened) return opened;
    host.record.bind++;
  }
  return {};
}

Result<> set_limits(Host& host) { return set_cgroups(host.plan.cgroups, host.prepared.ground.cgroups); }

// A socket from an earlier start of the same sandbox makes way.
bool bind_to(int fd, const sockaddr_un& address) {
  auto attempt = [&] { return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0; };
  if (attempt()) return true;
  return errno == EADDRINUSE && unlink(address.sun_path) == 0 && attempt();
}

Result<> listen_for_host(Host& host) {
  const std::string& path = host.plan.agent_socket;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Failure::here("socket");
  // The file is made with this mask: between its making and a chmod nobody else may connect.
  mode_t mask = umask(0177);
  bool bound = bind_to(fd.get(), address);
  umask(mask);
  if (!bound) return Failure::here("socket");
  host.traces.add_socket(path);
  if (listen(fd.get(), 64) != 0) return Failure::here("socket");
  host.prepared.socket = std::move(fd);
  return {};
}

struct HostStep {
  const char* name;
  Result<> (*run)(Host&);
};

constexpr HostStep kSteps[] = {
    {"upper", make_upper},  {"layers", open_layers},     {"open-binds", open_binds},
    {"limits", set_limits}, {"socket", listen_for_host},  // before the child, so that the daemon may connect at once
};

}  // namespace

HostTraces::~HostTraces() {
  if (kept_) return;
  for (const std::string& path : sockets_) unlink(path.c_str());
  for (const std::string& path : cgroups_) (void)remove_cgroup(path);
  for (const std::string& path : mounts_) sys::umount2(path.c_str(), MNT_DETACH);
  // Newest first: what was made inside a directory goes before it.
  for (auto path = directories_.rbegin(); path != directories_.rend(); ++path) rmdir(path->c_str());
}

bool prepare_on_host(const LaunchPlan& plan, Prepared& prepared, HostTraces& traces, StepRecord& record) {
  Host host{plan, prepared, traces, record};
  for (const HostStep& step : kSteps)
    if (!record.run(step.name, plan.fail_at, [&] { return step.run(host); })) return false;
  return true;
}

}  // namespace plybox

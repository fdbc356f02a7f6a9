#include "launcher/pseudo-files.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/syscalls.h"
#include "launcher/mounts.h"
#include "launcher/stage.h"
#include "launcher/targets.h"

namespace plybox {
namespace {

// Relative to the current directory of the child that builds the sandbox. All that the container runtimes mask, by any
// of their defaults, and the counts of everybody's keys.
constexpr const char* kMaskedFiles[] = {
    "proc/interrupts",    "proc/kcore",       "proc/key-users",  "proc/keys",
    "proc/latency_stats", "proc/sched_debug", "proc/timer_list", "proc/timer_stats",
};
constexpr const char* kMaskedDirectories[] = {
    "proc/acpi",    "proc/asound",    "proc/scsi", "sys/dev/block", "sys/devices/virtual/powercap",
    "sys/firmware", "sys/fs/selinux",
};
constexpr const char* kReadOnly[] = {
    "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger",
};

// An empty file costs memory that the size of a tmpfs does not count.
constexpr uint64_t kBytesPerInode = 4096;

struct Device {
  const char* name;
  unsigned major;
  unsigned minor;
};
constexpr Device kDevices[] = {
    {"dev/null", 1, 3},   {"dev/zero", 1, 5},    {"dev/full", 1, 7},
    {"dev/random", 1, 8}, {"dev/urandom", 1, 9}, {"dev/tty", 5, 0},
};
struct Link {
  const char* target;
  const char* name;
};
constexpr Link kLinks[] = {
    {"pts/ptmx", "dev/ptmx"},          {"/proc/self/fd", "dev/fd"},       {"/proc/self/fd/0", "dev/stdin"},
    {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"},
};

Result<> mount_new(const char* step, const char* type, const char* path, uint64_t attributes,
                   const char* const* options) {
  Result<UniqueFd> mount = make_mount(step, type, static_cast<unsigned>(attributes), options);
  if (!mount) return mount.failure();
  return attach(step, mount->get(), path);
}

// Not every kernel has every one of these files.
bool absent(int error) { return error == ENOENT || error == ENOTDIR; }

Result<> make_read_only(const char* path) {
  Result<UniqueFd> copy = copy_mount("proc", AT_FDCWD, path, 0);
  if (!copy) return absent(copy.failure().error) ? Result<>() : copy.failure();
  uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (Result<> set = set_attributes("proc", copy->get(), attributes, 0); !set) return set;
  return attach("proc", copy->get(), path);
}

Result<> mask(const char* step, const char* path, const char* cover) {
  if (sys::mount(cover, path, nullptr, MS_BIND, nullptr) == 0 || absent(errno)) return {};
  return Failure::here(step);
}

// A file system with nothing in it, to which nothing can be added.
Result<UniqueFd> make_void(const char* step) {
  const char* const options[] = {"size", "0", "nr_inodes", "1", "mode", "0555", nullptr};
  return make_mount(step, "tmpfs", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                    options);
}

Result<> mask_directory(const char* step, const char* path) {
  struct stat status;
  if (stat(path, &status) != 0) return {};
  Result<UniqueFd> nothing = make_void(step);
  if (!nothing) return nothing.failure();
  return attach(step, nothing->get(), path);
}

bool begins_with(const char* text, const char* prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

Result<> mask_directories(const char* step, const char* below) {
  for (const char* path : kMaskedDirectories)
    if (begins_with(path, below))
      if (Result<> masked = mask_directory(step, path); !masked) return masked;
  return {};
}

// How often a processor was too hot tells how busy it was, and who computes there. Each has a directory of its own.
Result<> mask_throttling() {
  constexpr const char* kFirst = "sys/devices/system/cpu/cpu0/thermal_throttle";
  if (access(kFirst, F_OK) != 0) return {};
  if (Result<> masked = mask_directory("sys", kFirst); !masked) return masked;
  for (int processor = 1;; processor++) {
    char path[80];
    int length = snprintf(path, sizeof(path), "sys/devices/system/cpu/cpu%d", processor);
    if (access(path, F_OK) != 0) return {};
    snprintf(path + length, sizeof(path) - static_cast<size_t>(length), "/thermal_throttle");
    if (Result<> masked = mask("sys", path, kFirst); !masked) return masked;
  }
}

// What an ordinary user may do in the sandbox's own network: listen on low ports, and ping.
Result<> open_network_to_users(unsigned last_group) {
  char groups[32];
  snprintf(groups, sizeof(groups), "0 %u", last_group);
  struct Setting {
    const char* path;
    const char* value;
  };
  const Setting settings[] = {
      {"proc/sys/net/ipv4/ip_unprivileged_port_start", "0"},
      {"proc/sys/net/ipv4/ping_group_range", groups},
  };
  for (const Setting& setting : settings) {
    UniqueFd fd(open(setting.path, O_WRONLY | O_CLOEXEC));
    ssize_t length = static_cast<ssize_t>(strlen(setting.value));
    if (fd && write(fd.get(), setting.value, static_cast<size_t>(length)) != length) return Failure::here("proc");
  }
  return {};
}

Result<> make_device(const Device& device, bool bound) {
  if (!bound)
    return mknod(device.name, S_IFCHR | 0666, makedev(device.major, device.minor)) == 0 ? Result<>()
                                                                                        : Failure::here("dev");
  UniqueFd place(open(device.name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
  if (!place) return Failure::here("dev");
  Result<UniqueFd> copy = copy_mount("dev", AT_FDCWD, (std::string("/") + device.name).c_str(), 0);
  if (!copy) return copy.failure();
  return attach("dev", copy->get(), device.name);
}

}  // namespace

Result<> mount_proc(unsigned last_group) {
  uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (Result<> mounted = mount_new("proc", "proc", "proc", attributes, nullptr); !mounted) return mounted;
  if (Result<> opened = open_network_to_users(last_group); !opened) return opened;
  for (const char* path : kReadOnly)
    if (Result<> done = make_read_only(path); !done) return done;
  for (const char* path : kMaskedFiles)
    if (Result<> done = mask("proc", path, "dev/null"); !done) return done;
  return mask_directories("proc", "proc/");
}

Result<> mount_sys() {
  uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (Result<> mounted = mount_new("sys", "sysfs", "sys", attributes, nullptr); !mounted) return mounted;
  if (Result<> masked = mask_directories("sys", "sys/"); !masked) return masked;
  return mask_throttling();
}

Result<> mount_dev(const DevOptions& options) {
  const char* const dev[] = {"mode", "0755", "size", "65536", "nr_inodes", "256", nullptr};
  if (Result<> mounted = mount_new("dev", "tmpfs", "dev", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, dev); !mounted)
    return mounted;
  for (const Device& device : kDevices)
    if (Result<> made = make_device(device, options.bound); !made) return made;
  for (const Link& link : kLinks)
    if (symlink(link.target, link.name) != 0) return Failure::here("dev");
  for (const char* point : {"dev/pts", "dev/shm", "dev/mqueue"})
    if (mkdir(point, 0755) != 0) return Failure::here("dev");

  char group[16];
  snprintf(group, sizeof(group), "%u", options.tty_group);
  // The machine has a few thousand terminals for all of its sandboxes.
  const char* const pts[] = {"newinstance", "",    "ptmxmode", "0666", "mode", "0620",
                             "gid",         group, "max",      "256",  nullptr};
  if (Result<> mounted = mount_new("dev", "devpts", "dev/pts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, pts); !mounted)
    return mounted;
  if (!options.own_queues) return {};
  uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  Result<> queues = mount_new("dev", "mqueue", "dev/mqueue", attributes, nullptr);
  // ENODEV: a kernel without them.
  return queues || queues.failure().error == ENODEV ? Result<>() : queues;
}

Result<> move_pseudo_files(const char* made) {
  for (const char* name : {"dev", "proc", "sys"}) {
    // As container runtimes do.
    if (mkdir(name, 0755) != 0 && errno != EEXIST) return Failure::here("move");
    if (sys::move_mount(AT_FDCWD, (std::string(made) + "/" + name).c_str(), AT_FDCWD, name, 0) != 0)
      return Failure::here("move");
  }
  return {};
}

Result<> mount_shm(uint64_t bytes) {
  char size[32];
  char inodes[32];
  snprintf(size, sizeof(size), "%llu", static_cast<unsigned long long>(bytes));
  snprintf(inodes, sizeof(inodes), "%llu", static_cast<unsigned long long>(bytes / kBytesPerInode));
  const char* const options[] = {"mode", "01777", "size", size, "nr_inodes", inodes, nullptr};
  uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  return mount_new("shm", "tmpfs", "dev/shm", attributes, options);
}

Result<> cover(const char* step, int place, bool directory) {
  Result<UniqueFd> mount = directory ? make_void(step) : copy_mount(step, AT_FDCWD, "dev/null", 0);
  if (!mount) return mount.failure();
  return attach_over(step, mount->get(), place);
}

}  // namespace plybox

#include "launcher/plan.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/stat.h>

#include "common/syscalls.h"
#include "common/unique-fd.h"

namespace plybox {
namespace {

constexpr size_t kMaxPath = 4000;
constexpr size_t kMaxLayers = 64;
constexpr size_t kMaxFileBytes = 65536;
constexpr uint64_t kLeastOpenFiles = 16;
// The most that the kernel lets anybody have without its fs.nr_open raised.
constexpr uint64_t kMostOpenFiles = 1048576;
constexpr uint64_t kMostFileBytes = uint64_t{1} << 50;
constexpr size_t kInstructionBytes = 8;
constexpr size_t kMaxFilterBytes = 4096 * kInstructionBytes;

struct Named {
  std::string_view name;
  uint64_t value;
};

constexpr Named kNamespaces[] = {
    {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID},       {"network", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC},
    {"uts", CLONE_NEWUTS},  {"cgroup", CLONE_NEWCGROUP}, {"user", CLONE_NEWUSER},   {"time", CLONE_NEWTIME},
};
constexpr uint64_t kRequiredNamespaces = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUSER;

constexpr Named kCapabilities[] = {
    {"CAP_CHOWN", CAP_CHOWN},
    {"CAP_DAC_OVERRIDE", CAP_DAC_OVERRIDE},
    {"CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH},
    {"CAP_FOWNER", CAP_FOWNER},
    {"CAP_FSETID", CAP_FSETID},
    {"CAP_KILL", CAP_KILL},
    {"CAP_SETGID", CAP_SETGID},
    {"CAP_SETUID", CAP_SETUID},
    {"CAP_SETPCAP", CAP_SETPCAP},
    {"CAP_LINUX_IMMUTABLE", CAP_LINUX_IMMUTABLE},
    {"CAP_NET_BIND_SERVICE", CAP_NET_BIND_SERVICE},
    {"CAP_NET_BROADCAST", CAP_NET_BROADCAST},
    {"CAP_NET_ADMIN", CAP_NET_ADMIN},
    {"CAP_NET_RAW", CAP_NET_RAW},
    {"CAP_IPC_LOCK", CAP_IPC_LOCK},
    {"CAP_IPC_OWNER", CAP_IPC_OWNER},
    {"CAP_SYS_CHROOT", CAP_SYS_CHROOT},
    {"CAP_SYS_PTRACE", CAP_SYS_PTRACE},
    {"CAP_SYS_ADMIN", CAP_SYS_ADMIN},
    {"CAP_SYS_NICE", CAP_SYS_NICE},
    {"CAP_SYS_RESOURCE", CAP_SYS_RESOURCE},
    {"CAP_MKNOD", CAP_MKNOD},
    {"CAP_LEASE", CAP_LEASE},
    {"CAP_AUDIT_WRITE", CAP_AUDIT_WRITE},
    {"CAP_SETFCAP", CAP_SETFCAP},
};

// The bits of the names in `member`; `as_bits` turns a name's value into its bit.
template <size_t Count>
uint64_t read_names(JsonObject& object, const char* member, const Named (&table)[Count], bool as_bits) {
  uint64_t bits = 0;
  for (std::string_view name : object.array(member).strings(64)) {
    const Named* found = nullptr;
    for (const Named& entry : table)
      if (entry.name == name) found = &entry;
    if (found == nullptr) {
      object.refuse(member, "names the unknown " + std::string(name));
      return 0;
    }
    bits |= as_bits ? uint64_t{1} << found->value : found->value;
  }
  return bits;
}

std::string text(std::string_view view) { return std::string(view); }

std::vector<LayerPlan> read_layers(JsonObject& root) {
  std::vector<LayerPlan> layers;
  JsonArray array = root.array("layers");
  if (array.size() < 1 || array.size() > kMaxLayers) root.refuse("layers", "does not hold 1 to 64 layers");
  for (size_t i = 0; i < array.size(); i++) {
    JsonObject layer = array.object(i);
    layers.push_back({read_path(layer, "path"), layer.boolean("idmap")});
    layer.finish();
  }
  return layers;
}

QuotaPlan read_quota(JsonObject& quota) {
  QuotaPlan plan{read_path(quota, "referenced"), read_path(quota, "reserved"), quota.integer("bytes", 1, INT64_MAX)};
  quota.finish();
  return plan;
}

UpperPlan read_upper(JsonObject upper) {
  UpperPlan plan{};
  std::string_view kind = upper.string("kind");
  plan.path = read_path(upper, "path");
  if (kind == "tmpfs") {
    plan.kind = UpperPlan::Kind::kTmpfs;
    plan.bytes = upper.integer("bytes", 65536, uint64_t{1} << 50);
    plan.inodes = upper.integer("inodes", 64, uint64_t{1} << 40);
  } else if (kind == "disk") {
    plan.kind = UpperPlan::Kind::kDisk;
    if (std::optional<JsonObject> quota = upper.optional_object("quota")) plan.quota = read_quota(*quota);
  } else if (kind == "image") {
    plan.kind = UpperPlan::Kind::kImage;
    plan.image = read_path(upper, "image");
  } else {
    upper.refuse("kind", "is none of tmpfs, disk and image");
  }
  upper.finish();
  return plan;
}

std::vector<std::string> read_hidden(JsonObject& bind) {
  std::vector<std::string> hidden;
  if (!bind.has("hide")) return hidden;
  for (std::string_view path : bind.array("hide").strings(kMaxPath)) {
    if (path == "/" || !is_normal_path(path)) {
      bind.refuse("hide", "holds something else than absolute paths below the source");
      break;
    }
    hidden.push_back(text(path.substr(1)));
  }
  return hidden;
}

std::vector<BindPlan> read_binds(JsonObject& plan) {
  std::vector<BindPlan> binds;
  JsonArray array = plan.array("binds");
  for (size_t i = 0; i < array.size(); i++) {
    JsonObject bind = array.object(i);
    BindPlan entry{read_path(bind, "source"), read_path(bind, "target"), bind.boolean("readOnly"),
                   BindPlan::Owner::kKeep,    read_hidden(bind),         bind.optional_boolean("setuid", false)};
    if (entry.target == "/") bind.refuse("target", "is the root itself");
    std::string_view owner = bind.string("owner");
    if (owner == "root")
      entry.owner = BindPlan::Owner::kRoot;
    else if (owner != "keep")
      bind.refuse("owner", "is neither keep nor root");
    bind.finish();
    binds.push_back(std::move(entry));
  }
  return binds;
}

CgroupPlan read_cgroup(JsonObject cgroup) {
  CgroupPlan plan{};
  plan.path = read_path(cgroup, "path");
  plan.version = static_cast<int>(cgroup.integer("version", 1, 2));
  JsonArray set = cgroup.array("set");
  for (size_t i = 0; i < set.size(); i++) {
    std::vector<std::string_view> pair = set.array(i).strings(256);
    if (pair.size() != 2 || pair[0].empty() || pair[0].find('/') != std::string_view::npos) {
      cgroup.refuse("set", "holds something else than pairs of a file name and a value");
      break;
    }
    plan.set.emplace_back(pair[0], pair[1]);
  }
  for (std::string_view role : cgroup.array("roles").strings(16)) {
    if (role == "track")
      plan.track = true;
    else if (role == "memory")
      plan.memory = true;
    else
      cgroup.refuse("roles", "names something else than track and memory");
  }
  cgroup.finish();
  return plan;
}

LandlockPlan read_landlock(JsonObject& plan) {
  std::string_view mode = plan.string("landlock");
  if (mode == "writes") return LandlockPlan::kWrites;
  if (mode == "all") return LandlockPlan::kAll;
  if (mode != "off") plan.refuse("landlock", "is none of off, writes and all");
  return LandlockPlan::kOff;
}

// The program in the file that a member names; a file that holds none is as wrong as the rest of a plan may be.
std::string read_filter(JsonObject& seccomp, const char* name) {
  if (!seccomp.has(name)) return "";
  std::string path = read_path(seccomp, name);
  // O_NONBLOCK: a FIFO would be waited for.
  UniqueFd file(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  struct stat status;
  bool regular = file && fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode);
  size_t bytes = regular ? static_cast<size_t>(status.st_size) : 0;
  bool whole = bytes > 0 && bytes % kInstructionBytes == 0 && bytes <= kMaxFilterBytes;
  std::string filter(whole ? bytes : 0, '\0');
  if (!whole || pread(file.get(), filter.data(), bytes, 0) != static_cast<ssize_t>(bytes)) {
    seccomp.refuse(name, "names no file with a filter of 1 to 4096 instructions");
    return "";
  }
  return filter;
}

SeccompPlan read_seccomp(JsonObject& plan) {
  std::optional<JsonObject> seccomp = plan.optional_object("seccomp");
  if (!seccomp) return {};
  SeccompPlan result{read_filter(*seccomp, "sandbox"), read_filter(*seccomp, "commands")};
  seccomp->finish();
  return result;
}

std::vector<FilePlan> read_files(JsonObject& plan) {
  std::vector<FilePlan> files;
  JsonArray array = plan.array("files");
  for (size_t i = 0; i < array.size(); i++) {
    JsonObject file = array.object(i);
    files.push_back({read_path(file, "path"), text(file.string("content", kMaxFileBytes))});
    file.finish();
  }
  return files;
}

std::vector<std::string> read_environment(JsonObject& plan) {
  std::vector<std::string> environment;
  for (auto [name, value] : plan.string_map("environment")) {
    if (name.empty() || name.find('=') != name.npos) plan.refuse("environment", "has a name that is empty or holds =");
    environment.push_back(text(name) + "=" + text(value));
  }
  return environment;
}

}  // namespace

bool is_normal_path(std::string_view path) {
  if (path == "/") return true;
  if (path.empty() || path.front() != '/' || path.back() == '/' || path.size() > kMaxPath) return false;
  for (size_t start = 1; start <= path.size();) {
    size_t end = std::min(path.find('/', start), path.size());
    std::string_view component = path.substr(start, end - start);
    if (component.empty() || component == "." || component == "..") return false;
    start = end + 1;
  }
  return true;
}

std::string read_path(JsonObject& object, const char* name) {
  std::string_view path = object.string(name, kMaxPath);
  if (!is_normal_path(path)) object.refuse(name, "is not an absolute path without . and ..");
  return text(path);
}

Ground read_ground(JsonObject& object, bool rootless) {
  Ground ground;
  JsonObject ids = object.object("ids");
  ground.id_base = static_cast<uint32_t>(ids.integer("base", rootless ? 0 : 1, 0xfffeffff));
  ground.id_count = static_cast<uint32_t>(ids.integer("count", 1, 65536));
  ids.finish();
  ground.namespaces = read_names(object, "namespaces", kNamespaces, false);
  if ((ground.namespaces & kRequiredNamespaces) != kRequiredNamespaces)
    object.refuse("namespaces", "lacks mount, pid or user");
  JsonArray cgroups = object.array("cgroups");
  for (size_t i = 0; i < cgroups.size(); i++) ground.cgroups.push_back(read_cgroup(cgroups.object(i)));
  return ground;
}

LaunchPlan read_plan(JsonObject plan, bool allow_faults, bool rootless) {
  LaunchPlan result{};
  plan.integer("version", 1, 1);
  result.id = text(plan.string("id", 64));
  result.incarnation = plan.integer("incarnation", 0, uint64_t{1} << 53);
  result.hostname = text(plan.string("hostname", 64));
  JsonObject root = plan.object("root");
  result.layers = read_layers(root);
  result.upper = read_upper(root.object("upper"));
  root.finish();
  result.binds = read_binds(plan);
  static_cast<Ground&>(result) = read_ground(plan, rootless);
  JsonObject resources = plan.object("resources");
  result.open_files = resources.integer("openFiles", kLeastOpenFiles, kMostOpenFiles);
  result.file_bytes = resources.optional_integer("fileBytes", 0, kMostFileBytes);
  resources.finish();
  result.capabilities = read_names(plan, "capabilities", kCapabilities, true);
  result.no_new_privileges = plan.boolean("noNewPrivileges");
  result.landlock = read_landlock(plan);
  result.shm_bytes = plan.integer("shmBytes", 65536, uint64_t{1} << 50);
  result.seccomp = read_seccomp(plan);
  // A command may install a filter of its own only where it cannot gain privileges.
  if (!result.seccomp.commands.empty() && !result.no_new_privileges)
    plan.refuse("seccomp", "has a filter of commands, which may gain privileges");
  result.files = read_files(plan);
  result.environment = read_environment(plan);
  JsonObject agent = plan.object("agent");
  result.agent_socket = read_path(agent, "socket");
  // The kernel's sockaddr_un holds no more.
  if (result.agent_socket.size() > 107) agent.refuse("socket", "is longer than 107 bytes");
  agent.finish();
  result.die_with_launcher = plan.boolean("dieWithLauncher");
  if (allow_faults) result.fail_at = text(plan.optional_string("failAt", 64).value_or(""));
  plan.finish();
  return result;
}

}  // namespace plybox

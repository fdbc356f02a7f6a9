// The launch plan: docs/protocol.md §7, parsed and checked once; everything below trusts it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/json.h"

namespace plybox {

struct LayerPlan {
  std::string path;
  bool idmap;
};

// What the kernel counts of an upper, in two files that tell a number each, and what it allows.
struct QuotaPlan {
  std::string referenced;
  std::string reserved;
  uint64_t bytes;
};

struct UpperPlan {
  enum class Kind { kTmpfs, kDisk, kImage };
  Kind kind;
  std::string path;
  uint64_t bytes = 0;              // of a tmpfs
  uint64_t inodes = 0;             // of a tmpfs
  std::string image;               // of an image: its file
  std::optional<QuotaPlan> quota;  // of a directory
};

struct BindPlan {
  enum class Owner { kKeep, kRoot };
  std::string source;
  std::string target;
  bool read_only;
  Owner owner;
  std::vector<std::string> hide;  // relative to source
  bool setuid;                    // whether set-user-id bits count
};

struct CgroupPlan {
  std::string path;
  int version;
  std::vector<std::pair<std::string, std::string>> set;
  bool track = false;
  bool memory = false;
};

enum class LandlockPlan { kOff, kWrites, kAll };

// BPF programs as the kernel takes them, from the files that the plan names; empty: none.
struct SeccompPlan {
  std::string sandbox;   // of the agent and of everything below it
  std::string commands;  // of commands, beside the other
};

struct FilePlan {
  std::string path;
  std::string content;
};

// What of a sandbox does not depend on what it is made for: its ids, namespaces and cgroups.
struct Ground {
  uint32_t id_base = 0;
  uint32_t id_count = 0;
  uint64_t namespaces = 0;  // CLONE_NEW… flags
  std::vector<CgroupPlan> cgroups;
};

struct LaunchPlan : Ground {
  std::string id;
  uint64_t incarnation;
  std::string hostname;
  std::vector<LayerPlan> layers;  // bottom first
  UpperPlan upper;
  std::vector<BindPlan> binds;
  uint64_t open_files;
  std::optional<uint64_t> file_bytes;
  uint64_t capabilities;  // a bit each
  bool no_new_privileges;
  LandlockPlan landlock;
  uint64_t shm_bytes;
  SeccompPlan seccomp;
  std::vector<FilePlan> files;
  std::vector<std::string> environment;  // NAME=value
  std::string agent_socket;
  bool die_with_launcher;
  std::string fail_at;  // empty: nothing is made to fail
};

// Reads `plan`; problems go where the reader's problems go. `allow_faults` admits `failAt`. `rootless` admits the id 0,
// which is otherwise the machine's root.
LaunchPlan read_plan(JsonObject plan, bool allow_faults, bool rootless = false);
// Reads the members of `object` that are a plan's ground.
Ground read_ground(JsonObject& object, bool rootless);

// Whether `path` is absolute, holds no empty, "." or ".." component, and does not end in "/" (unless it is "/").
bool is_normal_path(std::string_view path);
// A member that must be a normal path.
std::string read_path(JsonObject& object, const char* name);

}  // namespace plybox

// The `file` request of docs/protocol.md §4, from JSON to plain values that own their bytes: the document does not
// outlive the hand-over to the worker.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/json.h"

namespace plybox {

constexpr size_t kMostContext = 65536;  // bytes of a line that are told around a match

struct StatOp {
  bool follow;
};
struct ReadOp {
  uint64_t from;
  std::optional<uint64_t> to;
  std::optional<std::string> if_match;
};
struct WriteOp {
  enum class How { kReplace, kCreate, kAppend };
  mode_t mode;
  How how;
  bool parents;
  std::optional<std::string> if_match;
};
struct ListOp {
  uint64_t depth;
  std::string after;  // "": from the beginning
  std::optional<uint64_t> limit;
  bool hidden;
};
struct MkdirOp {
  mode_t mode;
  bool parents;
};
struct MoveOp {
  std::string to;
  bool overwrite;
  bool parents;
};
struct RemoveOp {
  bool recursive;
  bool missing;
};
struct ChmodOp {
  mode_t mode;
  bool recursive;
};
struct ChownOp {
  std::string owner;
  bool recursive;
  bool follow;
};
struct SymlinkOp {
  std::string target;
  bool overwrite;
};
struct SearchOp {
  std::optional<std::string> name;
  std::optional<std::string> content;
  bool regex;
  bool ignore_case;
  std::optional<uint64_t> depth;
  std::optional<uint64_t> limit;
  size_t context_bytes;
};
struct WatchOp {
  bool recursive;
};
struct TarOutOp {
  std::vector<std::string> exclude;
};
struct TarInOp {
  bool keep_owner;
  bool parents;
};

using FileOp = std::variant<StatOp, ReadOp, WriteOp, ListOp, MkdirOp, MoveOp, RemoveOp, ChmodOp, ChownOp, SymlinkOp,
                            SearchOp, WatchOp, TarOutOp, TarInOp>;

struct FileRequest {
  std::string path;  // absolute
  std::string user;
  FileOp op;
};

// Reads all members but `type`.
FileRequest read_file_request(JsonObject& json);

}  // namespace plybox

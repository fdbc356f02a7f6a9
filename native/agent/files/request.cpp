#include "agent/files/request.h"

#include <algorithm>
#include <iterator>

#include "common/frame.h"

namespace plybox {
namespace {

// More than the kernel takes of a path; what is longer it refuses itself.
constexpr size_t kMaxPath = 65536;
constexpr size_t kMaxPattern = 65536;
constexpr uint64_t kMaxMode = 07777;

std::string read_path(JsonObject& json, const char* name) {
  std::string path = json.bytes(name, kMaxPath);
  if (!path.starts_with('/')) json.refuse(name, "is not an absolute path");
  return path;
}

std::optional<std::string> optional_text(JsonObject& json, const char* name) {
  std::optional<std::string_view> text = json.optional_string(name);
  if (!text) return std::nullopt;
  return std::string(*text);
}

std::optional<std::string> optional_bytes(JsonObject& json, const char* name) {
  if (!json.has(name)) return std::nullopt;
  return json.bytes(name, kMaxPattern);
}

mode_t read_mode(JsonObject& json, mode_t otherwise) {
  return static_cast<mode_t>(json.optional_integer("mode", 0, kMaxMode).value_or(otherwise));
}

FileOp read_read(JsonObject& json) {
  ReadOp op{json.optional_integer("from", 0, kMaxOffset).value_or(0), json.optional_integer("to", 0, kMaxOffset),
            optional_text(json, "ifMatch")};
  if (op.to && *op.to < op.from) json.refuse("to", "is below from");
  return op;
}

FileOp read_write(JsonObject& json) {
  WriteOp op{read_mode(json, 0644), WriteOp::How::kReplace, json.optional_boolean("parents", false),
             optional_text(json, "ifMatch")};
  std::string_view how = json.optional_string("how").value_or("replace");
  if (how == "create") {
    op.how = WriteOp::How::kCreate;
  } else if (how == "append") {
    op.how = WriteOp::How::kAppend;
  } else if (how != "replace") {
    json.refuse("how", "is not replace, create or append");
  }
  return op;
}

FileOp read_list(JsonObject& json) {
  uint64_t depth = json.optional_integer("depth", 1, kMaxOffset).value_or(1);
  std::string after = json.has("after") ? json.bytes("after", kMaxPath) : std::string();
  return ListOp{depth, std::move(after), json.optional_integer("limit", 1, kMaxOffset),
                json.optional_boolean("hidden", true)};
}

FileOp read_search(JsonObject& json) {
  SearchOp op{};
  op.name = optional_bytes(json, "name");
  op.content = optional_bytes(json, "content");
  if (!op.name && !op.content) json.refuse("name", "or content is needed");
  if (op.content && op.content->empty()) json.refuse("content", "is empty");
  op.regex = json.optional_boolean("regex", false);
  op.ignore_case = json.optional_boolean("ignoreCase", false);
  op.depth = json.optional_integer("depth", 1, kMaxOffset);
  op.limit = json.optional_integer("limit", 1, kMaxOffset);
  op.context_bytes = static_cast<size_t>(json.optional_integer("contextBytes", 0, kMostContext).value_or(200));
  return op;
}

FileOp read_symlink(JsonObject& json) {
  SymlinkOp op{json.bytes("target", kMaxPath), json.optional_boolean("overwrite", false)};
  if (op.target.empty()) json.refuse("target", "is empty");
  return op;
}

FileOp read_tar_out(JsonObject& json) {
  TarOutOp op{};
  std::optional<JsonArray> exclude = json.optional_array("exclude");
  if (!exclude) return op;
  for (std::string_view glob : exclude->strings(kMaxPattern)) op.exclude.emplace_back(glob);
  return op;
}

FileOp read_tar_in(JsonObject& json) {
  std::string_view owner = json.optional_string("owner").value_or("archive");
  if (owner != "archive" && owner != "user") json.refuse("owner", "is not archive or user");
  return TarInOp{owner == "archive", json.optional_boolean("parents", true)};
}

FileOp read_chmod(JsonObject& json) {
  auto mode = static_cast<mode_t>(json.integer("mode", 0, kMaxMode));
  return ChmodOp{mode, json.optional_boolean("recursive", false)};
}

FileOp read_chown(JsonObject& json) {
  std::string owner(json.string("owner"));
  if (owner.empty()) json.refuse("owner", "is empty");
  bool recursive = json.optional_boolean("recursive", false);
  return ChownOp{std::move(owner), recursive, json.optional_boolean("follow", true)};
}

FileOp read_move(JsonObject& json) {
  std::string to = read_path(json, "to");
  bool overwrite = json.optional_boolean("overwrite", false);
  return MoveOp{std::move(to), overwrite, json.optional_boolean("parents", false)};
}

FileOp read_remove(JsonObject& json) {
  bool recursive = json.optional_boolean("recursive", false);
  return RemoveOp{recursive, json.optional_boolean("missing", false)};
}

struct OpType {
  const char* name;
  FileOp (*read)(JsonObject&);
};

constexpr OpType kOps[] = {
    {"stat", [](JsonObject& json) -> FileOp { return StatOp{json.optional_boolean("follow", true)}; }},
    {"read", read_read},
    {"write", read_write},
    {"list", read_list},
    {"mkdir",
     [](JsonObject& json) -> FileOp {
       mode_t mode = read_mode(json, 0755);
       return MkdirOp{mode, json.optional_boolean("parents", false)};
     }},
    {"move", read_move},
    {"remove", read_remove},
    {"chmod", read_chmod},
    {"chown", read_chown},
    {"symlink", read_symlink},
    {"search", read_search},
    {"watch", [](JsonObject& json) -> FileOp { return WatchOp{json.optional_boolean("recursive", true)}; }},
    {"tar-out", read_tar_out},
    {"tar-in", read_tar_in},
};

}  // namespace

FileRequest read_file_request(JsonObject& json) {
  std::string_view name = json.string("op");
  FileRequest request{read_path(json, "path"), std::string(json.optional_string("user").value_or("root")), StatOp{}};
  if (request.user.empty()) json.refuse("user", "is empty");
  auto op = std::find_if(std::begin(kOps), std::end(kOps), [&](const OpType& type) { return name == type.name; });
  if (op == std::end(kOps)) {
    json.refuse("op", "is not an operation that this agent serves");
  } else {
    request.op = op->read(json);
  }
  return request;
}

}  // namespace plybox

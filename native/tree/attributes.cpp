#include "tree/attributes.h"

#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

namespace plybox::tree {
namespace {

// As the kernel bounds a list of names and a value.
constexpr size_t kMostBytes = 65536;
// Of one file: some file systems bound neither their number nor their sum.
constexpr size_t kMostOfFile = 1048576;
constexpr std::string_view kKept[] = {"user.", "trusted.", "security."};

std::string_view private_prefix(Marks marks) { return marks == Marks::kUser ? "user.overlay." : "trusted.overlay."; }
std::string opaque_name(Marks marks) { return std::string(private_prefix(marks)) + "opaque"; }

bool is_kept(std::string_view name, Marks marks) {
  if (name.starts_with(private_prefix(marks)) || name.starts_with("trusted.overlay.")) return false;
  return std::any_of(std::begin(kKept), std::end(kKept), [&](auto prefix) { return name.starts_with(prefix); });
}

// The names, each with its NUL.
Result<std::string> list_names(const char* name) {
  char buffer[512];
  ssize_t count = llistxattr(name, buffer, sizeof(buffer));
  if (count >= 0) return std::string(buffer, static_cast<size_t>(count));
  if (errno == ENOTSUP) return std::string();
  if (errno != ERANGE) return Failure::here("attributes");
  std::string names(kMostBytes, '\0');
  count = llistxattr(name, names.data(), names.size());
  if (count < 0) return Failure::here("attributes");
  names.resize(static_cast<size_t>(count));
  return names;
}

Result<std::string> read_value(const char* name, const char* attribute) {
  char buffer[512];
  ssize_t count = lgetxattr(name, attribute, buffer, sizeof(buffer));
  if (count >= 0) return std::string(buffer, static_cast<size_t>(count));
  if (errno != ERANGE) return Failure::here("attributes");
  std::string value(kMostBytes, '\0');
  count = lgetxattr(name, attribute, value.data(), value.size());
  if (count < 0) return Failure::here("attributes");
  value.resize(static_cast<size_t>(count));
  return value;
}

}  // namespace

Result<Attributes> read_attributes(int directory, const char* name, Marks marks) {
  if (fchdir(directory) != 0) return Failure::here("attributes");
  Result<std::string> names = list_names(name);
  if (!names) return names.failure();
  Attributes attributes;
  size_t bytes = 0;
  for (size_t at = 0; at < names->size(); at = names->find('\0', at) + 1) {
    const char* attribute = names->data() + at;
    bool is_opaque = opaque_name(marks) == attribute;
    if (!is_opaque && !is_kept(attribute, marks)) continue;
    Result<std::string> value = read_value(name, attribute);
    if (!value) return value.failure();
    bytes += value->size();
    if (bytes > kMostOfFile) return Failure{"attributes", E2BIG};
    if (is_opaque)
      attributes.opaque = *value == "y";
    else
      attributes.values.emplace_back(attribute, value.take());
  }
  std::sort(attributes.values.begin(), attributes.values.end());
  return attributes;
}

Result<> write_attributes(int directory, const char* name, const Attributes& attributes, Marks marks) {
  Result<Attributes> present = read_attributes(directory, name, marks);
  if (!present) return present.failure();
  for (const auto& [attribute, value] : present->values) {
    bool stays = std::any_of(attributes.values.begin(), attributes.values.end(),
                             [&](const auto& wanted) { return wanted.first == attribute; });
    if (!stays && lremovexattr(name, attribute.c_str()) != 0) return Failure::here("attributes");
  }
  for (const auto& wanted : attributes.values) {
    if (std::find(present->values.begin(), present->values.end(), wanted) != present->values.end()) continue;
    const auto& [attribute, value] = wanted;
    if (lsetxattr(name, attribute.c_str(), value.data(), value.size(), 0) != 0) return Failure::here("attributes");
  }
  return {};
}

Result<> set_opaque(int directory, const char* name, bool opaque, Marks marks) {
  if (fchdir(directory) != 0) return Failure::here("opaque");
  int done =
      opaque ? lsetxattr(name, opaque_name(marks).c_str(), "y", 1, 0) : lremovexattr(name, opaque_name(marks).c_str());
  if (done != 0 && (opaque || errno != ENODATA)) return Failure::here("opaque");
  return {};
}

}  // namespace plybox::tree

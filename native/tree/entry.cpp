#include "tree/entry.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tree/wire.h"

namespace plybox::tree {

Result<Entry> read_entry(int directory, const char* name, Marks marks) {
  Entry entry;
  if (fstatat(directory, name, &entry.status, AT_SYMLINK_NOFOLLOW) != 0) return Failure::here("stat");
  if (S_ISLNK(entry.status.st_mode)) {
    char target[PATH_MAX];
    ssize_t count = readlinkat(directory, name, target, sizeof(target));
    if (count < 0) return Failure::here("read-link");
    // Cut off; an image may hold what no file system takes.
    if (count == sizeof(target)) return Failure{"read-link", ENAMETOOLONG};
    entry.target.assign(target, static_cast<size_t>(count));
  }
  Result<Attributes> attributes = read_attributes(directory, name, marks);
  if (!attributes) return attributes.failure();
  entry.attributes = attributes.take();
  return entry;
}

void append_entry(std::string& out, std::string_view name, const Entry& entry) {
  const struct stat& status = entry.status;
  append_number<uint64_t>(out, status.st_dev);
  append_number<uint64_t>(out, status.st_ino);
  append_number<uint64_t>(out, static_cast<uint64_t>(status.st_size));
  append_number<uint64_t>(out, static_cast<uint64_t>(status.st_blocks));
  append_number<int64_t>(out, status.st_mtim.tv_sec);
  append_number<uint32_t>(out, static_cast<uint32_t>(status.st_mtim.tv_nsec));
  append_number<uint32_t>(out, status.st_mode);
  append_number<uint32_t>(out, status.st_uid);
  append_number<uint32_t>(out, status.st_gid);
  append_number<uint32_t>(out, static_cast<uint32_t>(status.st_nlink));
  append_number<uint32_t>(out, major(status.st_rdev));
  append_number<uint32_t>(out, minor(status.st_rdev));
  append_number<uint32_t>(out, entry.attributes.opaque);
  append_text(out, name);
  append_text(out, entry.target);
  append_number(out, static_cast<uint32_t>(entry.attributes.values.size()));
  for (const auto& [attribute, value] : entry.attributes.values) {
    append_text(out, attribute);
    append_text(out, value);
  }
}

}  // namespace plybox::tree

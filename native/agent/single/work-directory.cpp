#include "agent/single/work-directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "common/unique-fd.h"

namespace plybox::single {
namespace {

std::vector<std::string> names_in(int directory) {
  std::vector<std::string> names;
  UniqueFd copy(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* stream = copy ? fdopendir(copy.get()) : nullptr;
  if (stream == nullptr) return names;
  copy.release();
  while (dirent* entry = readdir(stream)) {
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) names.push_back(entry->d_name);
  }
  closedir(stream);
  return names;
}

// No symbolic link is followed. However deep a hostile program nested its directories, two descriptors are enough: a
// directory within a directory is moved up to the top and emptied there in its turn.
void empty(int top) {
  for (unsigned moved = 0;;) {
    std::vector<std::string> names = names_in(top);
    bool removed = false;
    for (const std::string& name : names) {
      if (unlinkat(top, name.c_str(), 0) == 0 || unlinkat(top, name.c_str(), AT_REMOVEDIR) == 0) {
        removed = true;
        continue;
      }
      UniqueFd below(openat(top, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!below) continue;
      for (const std::string& inner : names_in(below.get())) {
        if (unlinkat(below.get(), inner.c_str(), 0) == 0) {
          removed = true;
          continue;
        }
        std::string target = ".moved-" + std::to_string(moved++);
        if (renameat(below.get(), inner.c_str(), top, target.c_str()) == 0) removed = true;
      }
    }
    if (!removed) return;
  }
}

}  // namespace

Result<WorkDirectory> WorkDirectory::make(const std::string& parent, std::optional<std::pair<uid_t, gid_t>> owner) {
  std::string path = parent + "/plybox-single-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return Failure::here("work-directory");
  WorkDirectory directory(path, owner);
  if (owner && chown(path.c_str(), owner->first, owner->second) != 0) return Failure::here("work-directory");
  return directory;
}

WorkDirectory::~WorkDirectory() {
  if (path_.empty()) return;
  UniqueFd top(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (top) empty(top.get());
  rmdir(path_.c_str());
}

Result<> WorkDirectory::write(const std::string& name, std::string_view content) const {
  UniqueFd file(open((path_ + "/" + name).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) return Failure::here("source");
  while (!content.empty()) {
    ssize_t count = ::write(file.get(), content.data(), content.size());
    if (count <= 0) return Failure::here("source");
    content.remove_prefix(static_cast<size_t>(count));
  }
  if (owner_ && fchown(file.get(), owner_->first, owner_->second) != 0) return Failure::here("source");
  return {};
}

}  // namespace plybox::single

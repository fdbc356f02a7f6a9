#include "tree/survey.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <cstring>

namespace plybox::tree {
namespace {

class Surveyor {
 public:
  Surveyor(uint32_t first_foreign_id, dev_t device) : first_foreign_id_(first_foreign_id), device_(device) {}

  void count(const struct stat& status) {
    result.entries++;
    if (S_ISREG(status.st_mode)) result.bytes += static_cast<uint64_t>(status.st_size);
    if (result.foreign.empty() && (status.st_uid >= first_foreign_id_ || status.st_gid >= first_foreign_id_))
      result.foreign = path_.empty() ? "." : path_;
  }

  // As many directories are open at once as the tree is deep, which the length of a path bounds.
  Result<> below(UniqueFd directory) {
    DIR* stream = fdopendir(directory.get());
    if (stream == nullptr) return Failure::here("list");
    int fd = directory.release();
    Result<> done;
    errno = 0;
    while (const dirent* entry = done ? readdir(stream) : nullptr) {
      if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
        done = visit(fd, entry->d_name);
      errno = 0;
    }
    if (done && errno != 0) done = Failure::here("list");
    closedir(stream);
    return done;
  }

  Survey result;

 private:
  Result<> visit(int directory, const char* name) {
    size_t length = path_.size();
    if (length > 0) path_ += '/';
    path_ += name;
    if (path_.size() >= PATH_MAX) return Failure{"survey", ENAMETOOLONG};
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return Failure::here("stat");
    count(status);
    if (S_ISDIR(status.st_mode) && status.st_dev == device_) {
      UniqueFd child(openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!child) return Failure::here("open");
      if (Result<> done = below(std::move(child)); !done) return done;
    }
    path_.resize(length);
    return {};
  }

  uint32_t first_foreign_id_;
  dev_t device_;
  std::string path_;
};

}  // namespace

Result<Survey> survey(const Roots& roots, uint32_t root, uint32_t first_foreign_id) {
  Result<UniqueFd> top = open_directory(roots, root, "");
  if (!top) return top.failure();
  struct stat status;
  if (fstat(top->get(), &status) != 0) return Failure::here("stat");
  Surveyor surveyor(first_foreign_id, status.st_dev);
  surveyor.count(status);
  if (Result<> done = surveyor.below(top.take()); !done) return done.failure();
  return std::move(surveyor.result);
}

}  // namespace plybox::tree

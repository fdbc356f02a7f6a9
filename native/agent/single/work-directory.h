#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/result.h"

namespace plybox::single {

// A directory for one execution, which nobody else can enter; removed with everything in it.
class WorkDirectory {
 public:
  static Result<WorkDirectory> make(const std::string& parent, std::optional<std::pair<uid_t, gid_t>> owner);
  WorkDirectory(WorkDirectory&& other) noexcept : path_(std::exchange(other.path_, {})), owner_(other.owner_) {}
  WorkDirectory& operator=(WorkDirectory&&) = delete;
  ~WorkDirectory();

  const std::string& path() const { return path_; }
  Result<> write(const std::string& name, std::string_view content) const;

 private:
  WorkDirectory(std::string path, std::optional<std::pair<uid_t, gid_t>> owner)
      : path_(std::move(path)), owner_(owner) {}

  std::string path_;
  std::optional<std::pair<uid_t, gid_t>> owner_;
};

}  // namespace plybox::single

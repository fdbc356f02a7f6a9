#include "tests/test-cgroup.h"

#include <dirent.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/unique-fd.h"

namespace plybox::test {

TestCgroup::TestCgroup(const char* hierarchy) {
  std::string path = std::string("/sys/fs/cgroup/") + hierarchy + "/plybox-test-" + std::to_string(getpid());
  if (mkdir(path.c_str(), 0755) == 0) path_ = path;
}

TestCgroup::~TestCgroup() {
  if (path_.empty()) return;
  if (DIR* directory = opendir(path_.c_str())) {
    while (dirent* entry = readdir(directory)) {
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') rmdir((path_ + "/" + entry->d_name).c_str());
    }
    closedir(directory);
  }
  CHECK_MESSAGE(rmdir(path_.c_str()) == 0, "the test's cgroup is still in use: " << path_);
}

bool TestCgroup::set(const char* file, const std::string& value) const {
  UniqueFd fd(::open((path_ + "/" + file).c_str(), O_WRONLY | O_CLOEXEC));
  return fd && write(fd.get(), value.data(), value.size()) == static_cast<ssize_t>(value.size());
}

int TestCgroup::children() const {
  int count = 0;
  DIR* directory = opendir(path_.c_str());
  REQUIRE(directory != nullptr);
  while (dirent* entry = readdir(directory)) count += entry->d_type == DT_DIR && entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

}  // namespace plybox::test

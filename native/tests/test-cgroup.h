#pragma once
#include <string>

namespace plybox::test {

// A cgroup of the tests' own, removed with what is below it at the end. `path` is "" where none can be made.
class TestCgroup {
 public:
  explicit TestCgroup(const char* hierarchy);
  ~TestCgroup();
  const std::string& path() const { return path_; }
  bool set(const char* file, const std::string& value) const;
  // How many directories are below it.
  int children() const;

 private:
  std::string path_;
};

}  // namespace plybox::test

// Which files with several names have been met, and under which name first.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace plybox {

class HardLinks {
 public:
  // The name that this file was met under before; otherwise null, and `path` is kept.
  const std::string* meet(dev_t device, ino_t inode, std::string_view path);

 private:
  struct File {
    dev_t device;
    ino_t inode;
    std::string path;
    uint32_t next;  // of the same bucket, plus one; 0: none
  };
  size_t bucket(dev_t device, ino_t inode) const;
  void grow();

  std::vector<File> files_;
  std::vector<uint32_t> buckets_;  // index plus one; as many as a power of two
};

}  // namespace plybox

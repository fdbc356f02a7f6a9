#include "agent/files/hard-links.h"

namespace plybox {

size_t HardLinks::bucket(dev_t device, ino_t inode) const {
  uint64_t mixed = (inode ^ device << 48) * 0x9e3779b97f4a7c15;
  return static_cast<size_t>(mixed >> 32) & (buckets_.size() - 1);
}

void HardLinks::grow() {
  buckets_.assign(buckets_.empty() ? 64 : buckets_.size() * 2, 0);
  for (uint32_t i = 0; i < files_.size(); i++) {
    uint32_t& first = buckets_[bucket(files_[i].device, files_[i].inode)];
    files_[i].next = first;
    first = i + 1;
  }
}

const std::string* HardLinks::meet(dev_t device, ino_t inode, std::string_view path) {
  if (files_.size() >= buckets_.size()) grow();
  uint32_t& first = buckets_[bucket(device, inode)];
  for (uint32_t at = first; at != 0; at = files_[at - 1].next) {
    const File& file = files_[at - 1];
    if (file.device == device && file.inode == inode) return &file.path;
  }
  files_.push_back({device, inode, std::string(path), first});
  first = static_cast<uint32_t>(files_.size());
  return nullptr;
}

}  // namespace plybox

#include "tree/extents.h"

#include <linux/btrfs.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstring>

namespace plybox::tree {
namespace {

constexpr unsigned kAtOnce = 64;
// Of any other kind the place does not say what the bytes are: inline, compressed, not written yet.
constexpr unsigned kPlain = FIEMAP_EXTENT_LAST | FIEMAP_EXTENT_SHARED | FIEMAP_EXTENT_MERGED;

class Extents {
 public:
  // What has not reached the disk has no place there.
  bool read(int file, uint64_t from) {
    std::memset(bytes_, 0, sizeof(bytes_));
    head()->fm_start = from;
    head()->fm_length = FIEMAP_MAX_OFFSET - from;
    head()->fm_flags = FIEMAP_FLAG_SYNC;
    head()->fm_extent_count = kAtOnce;
    return ioctl(file, FS_IOC_FIEMAP, bytes_) == 0;
  }
  unsigned count() { return head()->fm_mapped_extents; }
  const fiemap_extent& operator[](unsigned index) { return head()->fm_extents[index]; }

 private:
  fiemap* head() { return reinterpret_cast<fiemap*>(bytes_); }

  alignas(fiemap) char bytes_[sizeof(fiemap) + kAtOnce * sizeof(fiemap_extent)];
};

// Subvolumes of one btrfs have device numbers of their own.
bool same_file_system(int one, int other, const struct stat& first, const struct stat& second) {
  if (first.st_dev == second.st_dev) return true;
  btrfs_ioctl_fs_info_args left{}, right{};
  return ioctl(one, BTRFS_IOC_FS_INFO, &left) == 0 && ioctl(other, BTRFS_IOC_FS_INFO, &right) == 0 &&
         std::memcmp(left.fsid, right.fsid, sizeof(left.fsid)) == 0;
}

bool same_extent(const fiemap_extent& one, const fiemap_extent& other) {
  return one.fe_logical == other.fe_logical && one.fe_physical == other.fe_physical &&
         one.fe_length == other.fe_length && ((one.fe_flags | other.fe_flags) & ~kPlain) == 0;
}

}  // namespace

bool shares_blocks(int one, int other) {
  struct stat first, second;
  if (fstat(one, &first) != 0 || fstat(other, &second) != 0 || first.st_size != second.st_size) return false;
  if (!same_file_system(one, other, first, second)) return false;
  Extents left, right;
  for (uint64_t from = 0;;) {
    if (!left.read(one, from) || !right.read(other, from)) return false;
    unsigned count = left.count();
    if (count != right.count()) return false;
    if (count == 0) return true;
    for (unsigned i = 0; i < count; i++)
      if (!same_extent(left[i], right[i])) return false;
    const fiemap_extent& last = left[count - 1];
    if ((last.fe_flags & FIEMAP_EXTENT_LAST) != 0) return true;
    from = last.fe_logical + last.fe_length;
  }
}

}  // namespace plybox::tree

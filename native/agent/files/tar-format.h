// The tar archive as bytes: what an entry says, and how its header is written. POSIX.1-2001 (pax) and ustar.
#pragma once
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plybox {

constexpr size_t kTarBlock = 512;

struct TarEntry {
  std::string path;
  mode_t type = S_IFREG;   // S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFCHR or S_IFBLK
  bool hard_link = false;  // to `link`, a path in the archive
  std::string link;        // or the target of a symlink
  mode_t mode = 0;         // permission bits
  uid_t uid = 0;
  gid_t gid = 0;
  uint64_t size = 0;  // of the content that follows: of regular files alone
  timespec modified{};
  unsigned major = 0, minor = 0;
  std::vector<std::pair<std::string, std::string>> attributes;  // extended ones, such as user.mime
};

// The blocks in front of the entry's content, preceded by a pax header where ustar cannot say it all.
std::string tar_header(const TarEntry& entry);
// How many zero bytes follow content of this size.
size_t tar_padding(uint64_t size);

}  // namespace plybox

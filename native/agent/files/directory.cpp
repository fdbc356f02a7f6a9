#include "agent/files/directory.h"

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

namespace plybox {
namespace {

// The kernel's struct linux_dirent64.
struct KernelEntry {
  uint64_t inode;
  int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[];
};

}  // namespace

void Names::add(const char* name, unsigned char type) {
  starts_.push_back(bytes_.size());
  bytes_ += static_cast<char>(type);
  bytes_.append(name, std::strlen(name) + 1);
}

Outcome<Names> read_names(int directory) {
  Names names;
  if (lseek(directory, 0, SEEK_SET) != 0) return failed("read-directory");
  alignas(KernelEntry) char buffer[32768];
  for (;;) {
    long count = syscall(SYS_getdents64, directory, buffer, sizeof(buffer));
    if (count < 0) return failed("read-directory");
    if (count == 0) return names;
    for (long at = 0; at < count;) {
      auto* entry = reinterpret_cast<KernelEntry*>(buffer + at);
      at += entry->length;
      if (std::strcmp(entry->name, ".") != 0 && std::strcmp(entry->name, "..") != 0) {
        names.add(entry->name, entry->type);
      }
    }
  }
}

}  // namespace plybox

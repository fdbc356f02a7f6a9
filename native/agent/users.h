// Whom a command runs as.
#pragma once
#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/refusal.h"

namespace plybox {

struct Account {
  uint32_t uid;
  uint32_t gid;
  std::vector<uint32_t> groups;  // supplementary
  std::string name;              // the uid's digits where it has no name
  std::string home;
  std::string shell;
};

// Resolves `name`, `uid`, `name:group` and `uid:gid` against the text of the two files.
// Without a passwd entry `root` is uid 0 with home /root, and a bare uid has group 0 and home /.
std::variant<Account, Refusal> resolve_user(std::string_view spec, std::string_view passwd, std::string_view group);

// Whether this process is that user already: then nothing is changed, which an agent without rights could not do.
bool runs_as(const Account& account);

// Looks users up in the sandbox's own files, and remembers the last answer while the files are the same.
class Users {
 public:
  // What lookup() answered lives until the next call.
  std::variant<const Account*, Refusal> lookup(std::string_view spec);

 private:
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;
    timespec changed{};
    bool operator==(const Identity& other) const;
  };
  static Identity identity(const char* path);

  std::string spec_;
  Identity passwd_;
  Identity group_;
  Account account_{};
};

}  // namespace plybox

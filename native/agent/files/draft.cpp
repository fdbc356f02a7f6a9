#include "agent/files/draft.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/files/rename.h"
#include "agent/files/scrap.h"

namespace plybox {

std::string draft_name() {
  uint64_t number = 0;
  (void)!getrandom(&number, sizeof(number), 0);
  char name[32];
  std::snprintf(name, sizeof(name), ".plybox-%016llx", static_cast<unsigned long long>(number));
  return name;
}

bool is_draft_name(const char* name) {
  std::string_view text(name);
  return text.size() == 24 && text.starts_with(".plybox-") &&
         text.find_first_not_of("0123456789abcdef", 8) == text.npos;
}

Outcome<Draft> Draft::open(int directory) {
  UniqueFd fd(openat(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (fd) return Draft(directory, std::move(fd), "");
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL) return failed("open", "path");
  std::string name = draft_name();
  set_scrap(directory, name);
  fd = UniqueFd(openat(directory, name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) {
    Refusal refusal = failed("open", "path");
    keep_scrap();
    return refusal;
  }
  return Draft(directory, std::move(fd), std::move(name));
}

Draft::~Draft() {
  if (fd_ && !name_.empty()) remove_scrap();
}

int Draft::link(const std::string& name) {
  return linkat(AT_FDCWD, descriptor_path(fd_.get()).c_str(), directory_, name.c_str(), AT_SYMLINK_FOLLOW);
}

Outcome<> Draft::replace(const std::string& name) {
  if (name_.empty()) {
    std::string between = draft_name();
    set_scrap(directory_, between);
    if (link(between) != 0) {
      Refusal refusal = failed("link", "path");
      keep_scrap();
      return refusal;
    }
    name_ = between;
  }
  if (renameat(directory_, name_.c_str(), directory_, name.c_str()) != 0) return failed("rename", "path");
  keep_scrap();
  name_.clear();
  return {};
}

Outcome<> Draft::create(const std::string& name) {
  if (name_.empty()) {
    if (link(name) != 0) return failed("link", "path");
    return {};
  }
  if (rename_spot(directory_, name_.c_str(), directory_, name.c_str(), false) != 0) return failed("rename", "path");
  keep_scrap();
  name_.clear();
  return {};
}

}  // namespace plybox

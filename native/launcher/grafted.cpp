#include "launcher/grafted.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "common/syscalls.h"

namespace plybox {
namespace {

// By this mark overlayfs knows directories that were copied up: in one that lost its layer it goes on to hide
// whiteouts, which in a directory of the upper alone would be names that nobody can look at or remove. Without a value
// it says that it is not known of what. Nobody inside can set it.
constexpr const char* kOrigin = "trusted.overlay.origin";
// Ids are those on disk.
constexpr const char* kNote = "%o %u %u ";

std::string describe(const struct stat& status) {
  char text[64];
  snprintf(text, sizeof(text), kNote, status.st_mode, status.st_uid, status.st_gid);
  return text;
}

// The text of a note, or "" of what is none.
std::string read_note(int live, const char* name) {
  char text[4096];
  ssize_t length = readlinkat(live, name, text, sizeof(text));
  return length < 0 ? std::string() : std::string(text, static_cast<size_t>(length));
}

// An rmdir takes no directory that has anything in it, a whiteout among it.
void sweep(int upper, const std::string& note) {
  size_t slash = note.find('/');
  size_t last = note.rfind('/');
  if (slash == std::string::npos) return;
  UniqueFd parent = open_beneath(upper, last == slash ? "." : note.substr(slash + 1, last - slash - 1));
  if (!parent) return;
  UniqueFd directory = open_beneath(parent.get(), note.substr(last + 1));
  struct stat status;
  if (!directory || fstat(directory.get(), &status) != 0 || describe(status) != note.substr(0, slash)) return;
  // One that somebody made in its place has no such mark.
  if (fgetxattr(directory.get(), kOrigin, nullptr, 0) < 0) return;
  (void)unlinkat(parent.get(), note.substr(last + 1).c_str(), AT_REMOVEDIR);
}

}  // namespace

UniqueFd open_beneath(int root, const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return UniqueFd(sys::openat2(root, path.c_str(), how));
}

Result<> note_grafted(int place, const std::string& name, const std::string& path) {
  UniqueFd directory = open_beneath(place, "upper" + path);
  struct stat status;
  if (!directory || fstat(directory.get(), &status) != 0) return Failure::here("graft");
  // A link, since that is written as a whole. What an earlier graft noted under the name is of the same layer's place.
  std::string note = "live/" + name + ".note";
  if (unlinkat(place, note.c_str(), 0) != 0 && errno != ENOENT) return Failure::here("graft");
  if (symlinkat((describe(status) + path).c_str(), place, note.c_str()) != 0) return Failure::here("graft");
  if (fsetxattr(directory.get(), kOrigin, "", 0, 0) != 0) return Failure::here("graft");
  return {};
}

void sweep_grafted(const std::string& place) {
  UniqueFd root(open(place.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  UniqueFd live = open_beneath(root.get(), "live");
  UniqueFd upper = open_beneath(root.get(), "upper");
  if (!live || !upper) return;
  DIR* names = fdopendir(live.release());
  if (names == nullptr) return;
  std::vector<std::string> notes;
  while (const dirent* entry = readdir(names))
    if (entry->d_type == DT_LNK) notes.push_back(read_note(dirfd(names), entry->d_name));
  closedir(names);
  // The inner ones first: a layer may have come into a directory that came the same way.
  std::sort(notes.begin(), notes.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  for (const std::string& note : notes) sweep(upper.get(), note);
}

}  // namespace plybox

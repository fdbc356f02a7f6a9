// Makes a tree of files below one directory, from entries whose names nobody vouches for: through no symlink, never
// above the top, and what is in the way of an entry is replaced by it.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "agent/files/outcome.h"
#include "agent/files/tar-reader.h"
#include "common/unique-fd.h"

namespace plybox {

// Of an entry's path, the names from the top: without "." and slashes. A ".." among them is refused.
Outcome<std::string> path_below_top(std::string_view path);

class TreeBuilder final : public TarSink {
 public:
  struct Rules {
    bool keep_owner;  // otherwise all is the worker's user's, without set-user-id bits
    bool adorn_top;   // the entry of the top itself gives it mode, owner and times
  };
  TreeBuilder(UniqueFd top, Rules rules) : top_(std::move(top)), rules_(rules) {}
  // A file that is not finished goes with it.
  ~TreeBuilder();

  Outcome<> begin(const TarEntry& entry) override;
  Outcome<> content(std::string_view bytes) override;
  Outcome<> end() override;
  // Gives the directories their modes and times, which making what is in them would have changed.
  Outcome<> finish();

 private:
  struct Directory {
    std::string path;
    TarEntry entry;
  };
  Outcome<> make(const TarEntry& entry, int directory, const std::string& name);
  Outcome<> make_directory(const TarEntry& entry, const std::string& path);
  Outcome<> adorn(const TarEntry& entry, int fd);
  Outcome<int> parent_of(const std::string& path, bool make_missing);
  Outcome<UniqueFd> open_parent(const std::string& path, bool make_missing);
  bool clear(int directory, const std::string& name);

  UniqueFd top_;
  Rules rules_;
  std::string parent_path_;  // of parent_, where it is open
  UniqueFd parent_;
  TarEntry entry_;  // being made
  UniqueFd file_;
  bool unfinished_ = false;  // it is scrap
  std::vector<Directory> directories_;
};

}  // namespace plybox

// A file that is written before it has its name: nobody sees it half written, and nothing of it stays when it is not
// published.
#pragma once
#include <sys/types.h>

#include <string>

#include "agent/files/resolve.h"

namespace plybox {

// A name of our own for what is put in its place by a rename.
std::string draft_name();
// Whether it is one of these: nobody is told of it.
bool is_draft_name(const char* name);

class Draft {
 public:
  // In `directory`, which outlives it. Nameless where the file system can, otherwise under a name that is scrap.
  static Outcome<Draft> open(int directory);

  Draft(Draft&&) = default;
  // Not published, it goes.
  ~Draft();

  int fd() const { return fd_.get(); }
  // Gives it `name`, in the place of what has it.
  Outcome<> replace(const std::string& name);
  // Gives it `name`, unless something has it: EEXIST.
  Outcome<> create(const std::string& name);

 private:
  Draft(int directory, UniqueFd fd, std::string name)
      : directory_(directory), fd_(std::move(fd)), name_(std::move(name)) {}
  int link(const std::string& name);

  int directory_;
  UniqueFd fd_;
  std::string name_;  // the scrap's; "": none
};

}  // namespace plybox

// The names in a directory.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/files/outcome.h"

namespace plybox {

// All names of one directory in one piece of memory: 100,000 of them cost little more than their bytes.
class Names {
 public:
  size_t size() const { return starts_.size(); }
  // Ends with a NUL behind it.
  std::string_view operator[](size_t index) const {
    const char* name = bytes_.data() + starts_[index] + 1;
    return name;
  }
  // The kernel's DT_ value, which may be DT_UNKNOWN.
  unsigned char type(size_t index) const { return static_cast<unsigned char>(bytes_[starts_[index]]); }
  void add(const char* name, unsigned char type);
  void set_type(size_t index, unsigned char type) { bytes_[starts_[index]] = static_cast<char>(type); }

 private:
  std::string bytes_;  // type, name, NUL, and so on
  std::vector<size_t> starts_;
};

// Of an open directory, from its beginning, without . and ..
Outcome<Names> read_names(int directory);

}  // namespace plybox

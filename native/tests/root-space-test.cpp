#include "agent/root-space.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <string>

#include "tests/files.h"

namespace plybox {
namespace {

// What counts, as the kernel's files tell it.
class Counted : public test::Tree {
 public:
  Counted(const std::string& referenced, const std::string& reserved) {
    write("referenced", referenced);
    write("reserved", reserved);
  }
  RootQuota quota(uint64_t bytes) const { return {file("referenced"), file("reserved"), bytes}; }

 private:
  UniqueFd file(const char* name) const { return UniqueFd(open(at(name).c_str(), O_RDONLY | O_CLOEXEC)); }
};

}  // namespace

TEST_CASE("a quota is full where what is written and what is on its way leave less than the least room") {
  Counted counted("600\n", "300\n");
  CHECK(RootSpace(100, counted.quota(1000)).full() == nullptr);
  CHECK(std::string(RootSpace(101, counted.quota(1000)).full()) == "bytes");
  CHECK(std::string(RootSpace(1, counted.quota(900)).full()) == "bytes");
}

TEST_CASE("a quota is looked at anew each time, and one that nobody can tell of is not full") {
  Counted counted("1000\n", "0\n");
  RootSpace space(1, counted.quota(1000));
  CHECK(space.full() != nullptr);
  counted.write("referenced", "0\n");
  CHECK(space.full() == nullptr);
  counted.write("referenced", "");
  CHECK(space.full() == nullptr);
  CHECK(RootSpace(1, {}).full() == nullptr);
}

}  // namespace plybox

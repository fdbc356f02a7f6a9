#include "launcher/grafted.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/files.h"

namespace plybox {
namespace {

// What holds an upper in which a graft has made directories.
class Place : public test::Tree {
 public:
  Place() {
    for (const char* directory : {"upper", "live", "outside", "outside/kept"}) make(directory);
  }
  void make(const std::string& path) const { REQUIRE(mkdir(at(path).c_str(), 0755) == 0); }
  void graft(const std::string& name, const std::string& path) const {
    make("upper" + path);
    UniqueFd place(open(at("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(note_grafted(place.get(), name, path));
  }
  void sweep() const { sweep_grafted(at("")); }
};

TEST_CASE("directories that grafts made go, the inner ones first, where they are as they were made") {
  Place place;
  place.make("upper/opt");
  place.graft("a.0", "/opt/tool");
  place.graft("b.0", "/opt/tool/plug-in");
  place.graft("a.1", "/changed");
  REQUIRE(chmod(place.at("upper/changed").c_str(), 0700) == 0);
  place.graft("a.2", "/used");
  REQUIRE(mknod(place.at("upper/used/whiteout").c_str(), S_IFCHR, makedev(0, 0)) == 0);
  // Where it is done once more, after an end in the middle, nothing else goes.
  for (int i = 0; i < 2; i++) {
    place.sweep();
    CHECK_FALSE(place.has("upper/opt/tool"));
    CHECK(place.has("upper/opt"));
    CHECK(place.has("upper/changed"));
    CHECK(place.has("upper/used/whiteout"));
  }
}

TEST_CASE("what somebody made in the place of a directory of a graft is left, and no link leads out of the upper") {
  Place place;
  place.graft("a.0", "/own");
  REQUIRE(rmdir(place.at("upper/own").c_str()) == 0);
  place.make("upper/own");
  place.make("upper/opt");
  place.graft("a.1", "/opt/kept");
  REQUIRE(rmdir(place.at("upper/opt/kept").c_str()) == 0);
  REQUIRE(rmdir(place.at("upper/opt").c_str()) == 0);
  REQUIRE(symlink("../outside", place.at("upper/opt").c_str()) == 0);
  REQUIRE(setxattr(place.at("outside/kept").c_str(), "trusted.overlay.origin", "", 0, 0) == 0);
  place.sweep();
  CHECK(place.has("upper/own"));
  CHECK(place.has("outside/kept"));
}

}  // namespace
}  // namespace plybox

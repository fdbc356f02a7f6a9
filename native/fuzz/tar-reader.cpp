// The reader of archives, fed in pieces of any size. The input's first byte says how large they are.
#include <cstdlib>
#include <string>

#include "agent/files/tar-reader.h"
#include "agent/files/tree-builder.h"

using namespace plybox;

namespace {

// Holds the reader to what it promises.
class Checker final : public TarSink {
 public:
  Outcome<> begin(const TarEntry& entry) override {
    if (open_) std::abort();
    open_ = true;
    left_ = entry.size;
    if (entry.size > 0 && (entry.type != S_IFREG || entry.hard_link)) std::abort();
    if (entry.mode > 07777 || entry.uid == UINT32_MAX || entry.gid == UINT32_MAX) std::abort();
    if (entry.path.find('\0') != entry.path.npos || entry.link.find('\0') != entry.link.npos) std::abort();
    Outcome<std::string> path = path_below_top(entry.path);
    if (path && (path->starts_with('/') || path->starts_with("../") || path->find("/../") != path->npos)) std::abort();
    // What has been read can be written, and says the same.
    if (tar_header(entry).size() % kTarBlock != 0) std::abort();
    return {};
  }
  Outcome<> content(std::string_view bytes) override {
    if (!open_ || bytes.size() > left_) std::abort();
    left_ -= bytes.size();
    return {};
  }
  Outcome<> end() override {
    if (!open_ || left_ > 0) std::abort();
    open_ = false;
    return {};
  }

 private:
  bool open_ = false;
  uint64_t left_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  size_t piece = data[0] + size_t{1};
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  Checker checker;
  TarReader reader(checker);
  while (!rest.empty()) {
    size_t count = std::min(piece, rest.size());
    if (!reader.feed(rest.substr(0, count))) return 0;
    rest.remove_prefix(count);
  }
  (void)static_cast<bool>(reader.finish());
  return 0;
}

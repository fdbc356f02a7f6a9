// plytree: reads and changes trees for the daemon, where Node cannot: by descriptors through no symlink, with extended
// attributes, holes, devices and times to the nanosecond. What is to be done with them is decided in
// src/snapshots/plies/.
//
// Theory of operation. Requests come on standard input, each `u32 length | u8 operation | fields`, and are answered in
// their order on standard output, each `u32 length | u8 0 | fields` or `u32 length | u8 1 | u32 errno | step`. A text
// is its length as u32 and its bytes; numbers are little-endian, as the machines are that Plybox runs on. A request
// that cannot be read ends the program. It keeps nothing but descriptors, so its end leaves nothing behind.
//
//   1 open     path                        → root
//   2 overlay  upper, work, u32 count, layer…  → root    upper "" for none
//   3 entry    root, path                  → entry
//   4 list     root, path                  → listing, entry…    listing 0: these are all
//   5 more     listing                     → listing, entry…
//   6 drop     listing
//   7 read     root, path, u64 offset      → u64 size, u64 offset of the data, data    none: only a hole follows
//   8 copy     root, path, root, path      9 stamp     root, path, root, path
//  10 link     root, path, new path       11 remove    root, path
//  12 whiteout root, path                 13 opaque    root, path, u32 whether
//  14 sync     root
//  15 survey   root, u32 first foreign id → u64 entries, u64 bytes, path of what has such an id or ""
//  16 shared   root, path, root, path     → u32 whether two files have the same blocks
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include "tree/server.h"

namespace plybox::tree {
namespace {

bool read_whole(char* bytes, size_t count) {
  while (count > 0) {
    ssize_t got = read(STDIN_FILENO, bytes, count);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    bytes += got;
    count -= static_cast<size_t>(got);
  }
  return true;
}

bool write_whole(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

int run(Marks marks) {
  signal(SIGPIPE, SIG_IGN);
  umask(0);
  // As many directories may be open as a tree is deep.
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  Server server(marks);
  std::string request, out;
  for (uint32_t length; read_whole(reinterpret_cast<char*>(&length), sizeof(length));) {
    if (length > kMostRequest) return 2;
    request.resize(length);
    if (!read_whole(request.data(), length)) return 2;
    out.clear();
    if (!server.answer(request, out)) return 2;
    if (!write_whole(out)) return 1;
  }
  return 0;
}

}  // namespace
}  // namespace plybox::tree

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--version") return puts("plytree " PLYBOX_VERSION) < 0;
  bool user = argc == 2 && std::string_view(argv[1]) == "--user-marks";
  if (argc > 1 && !user) {
    fprintf(stderr, "usage: plytree [--user-marks] | --version\n");
    return 2;
  }
  return plybox::tree::run(user ? plybox::tree::Marks::kUser : plybox::tree::Marks::kTrusted);
}

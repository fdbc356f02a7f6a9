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
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>

#include "tree/change.h"
#include "tree/entry.h"
#include "tree/extents.h"
#include "tree/listing.h"
#include "tree/overlay.h"
#include "tree/roots.h"
#include "tree/survey.h"
#include "tree/wire.h"

namespace plybox::tree {
namespace {

constexpr uint32_t kMostRequest = 1048576;
constexpr size_t kPieceBytes = 262144;

enum class Operation : uint8_t {
  kOpen = 1,
  kOverlay,
  kEntry,
  kList,
  kMore,
  kDrop,
  kRead,
  kCopy,
  kStamp,
  kLink,
  kRemove,
  kWhiteout,
  kOpaque,
  kSync,
  kSurvey,
  kShared,
};

class Server {
 public:
  explicit Server(Marks marks) : marks_(marks), listings_(marks) {}

  // Appends what is answered; nothing when the request cannot be read.
  bool answer(std::string_view request, std::string& out) {
    Fields fields(request);
    auto operation = static_cast<Operation>(fields.number<uint8_t>());
    size_t at = out.size();
    append_number<uint32_t>(out, 0);
    append_number<uint8_t>(out, 0);
    readable_ = true;
    Result<> done = serve(operation, fields, out);
    if (!readable_) return false;
    if (!done) {
      out.resize(at + sizeof(uint32_t));
      append_number<uint8_t>(out, 1);
      append_number<uint32_t>(out, static_cast<uint32_t>(done.failure().error));
      append_text(out, done.failure().step);
    }
    auto length = static_cast<uint32_t>(out.size() - at - sizeof(uint32_t));
    std::memcpy(&out[at], &length, sizeof(length));
    return true;
  }

 private:
  Result<> serve(Operation operation, Fields& fields, std::string& out) {
    switch (operation) {
      case Operation::kOpen:
        return open_root(fields, out);
      case Operation::kOverlay:
        return overlay(fields, out);
      case Operation::kEntry:
        return entry(place(fields), fields, out);
      case Operation::kList: {
        Place listed = place(fields);
        return complete(fields) ? listings_.begin(roots_, listed.root, listed.path, out) : unreadable();
      }
      case Operation::kMore: {
        auto number = fields.number<uint32_t>();
        return complete(fields) ? listings_.more(roots_, number, out) : unreadable();
      }
      case Operation::kDrop:
        listings_.drop(fields.number<uint32_t>());
        return complete(fields) ? Result<>() : unreadable();
      case Operation::kRead:
        return read(place(fields), fields, out);
      case Operation::kShared:
        return shared(fields, out);
      case Operation::kSurvey:
        return survey_root(fields, out);
      default:
        return change(operation, fields);
    }
  }

  Result<> change(Operation operation, Fields& fields) {
    if (operation == Operation::kSync) {
      auto root = fields.number<uint32_t>();
      return complete(fields) ? sync(roots_, root) : unreadable();
    }
    Place first = place(fields);
    switch (operation) {
      case Operation::kCopy:
      case Operation::kStamp: {
        Place to = place(fields);
        if (!complete(fields)) return unreadable();
        return (operation == Operation::kCopy ? copy : stamp)(roots_, first, to, marks_);
      }
      case Operation::kLink: {
        std::string path = fields.text();
        return complete(fields) ? link(roots_, first.root, first.path, path) : unreadable();
      }
      case Operation::kRemove:
        return complete(fields) ? remove(roots_, first) : unreadable();
      case Operation::kWhiteout:
        return complete(fields) ? make_whiteout(roots_, first) : unreadable();
      case Operation::kOpaque: {
        bool opaque = fields.number<uint32_t>() != 0;
        return complete(fields) ? mark_opaque(roots_, first, opaque, marks_) : unreadable();
      }
      default:
        return unreadable();
    }
  }

  Result<> open_root(Fields& fields, std::string& out) {
    std::string path = fields.text();
    if (!complete(fields)) return unreadable();
    UniqueFd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root) return Failure::here("open");
    append_number(out, roots_.add(std::move(root)));
    return {};
  }

  Result<> overlay(Fields& fields, std::string& out) {
    Overlay wanted;
    wanted.upper = fields.text();
    wanted.work = fields.text();
    for (auto count = fields.number<uint32_t>(); count > 0 && fields.ok(); count--)
      wanted.layers.push_back(fields.text());
    if (!complete(fields)) return unreadable();
    Result<UniqueFd> root = mount_overlay(wanted, marks_);
    if (!root) return root.failure();
    append_number(out, roots_.add(root.take()));
    return {};
  }

  Result<> entry(const Place& place, Fields& fields, std::string& out) {
    if (!complete(fields)) return unreadable();
    Result<Spot> spot = roots_.spot(place.root, place.path);
    if (!spot) return spot.failure();
    Result<Entry> entry = read_entry(spot->directory.get(), spot->name.c_str(), marks_);
    if (!entry) return entry.failure();
    append_entry(out, place.path.empty() ? "" : spot->name, *entry);
    return {};
  }

  Result<> shared(Fields& fields, std::string& out) {
    Place first = place(fields);
    Place second = place(fields);
    if (!complete(fields)) return unreadable();
    Result<UniqueFd> one = open_file(roots_, first.root, first.path);
    if (!one) return one.failure();
    Result<UniqueFd> other = open_file(roots_, second.root, second.path);
    if (!other) return other.failure();
    append_number<uint32_t>(out, shares_blocks(one->get(), other->get()));
    return {};
  }

  Result<> survey_root(Fields& fields, std::string& out) {
    auto root = fields.number<uint32_t>();
    auto first_foreign_id = fields.number<uint32_t>();
    if (!complete(fields)) return unreadable();
    Result<Survey> found = survey(roots_, root, first_foreign_id);
    if (!found) return found.failure();
    append_number(out, found->entries);
    append_number(out, found->bytes);
    append_text(out, found->foreign);
    return {};
  }

  Result<> read(const Place& place, Fields& fields, std::string& out) {
    auto offset = fields.number<uint64_t>();
    if (!complete(fields) || offset > INT64_MAX) return unreadable();
    Result<UniqueFd> file = open_file(roots_, place.root, place.path);
    if (!file) return file.failure();
    struct stat status;
    if (fstat(file->get(), &status) != 0) return Failure::here("stat");
    off_t begin = lseek(file->get(), static_cast<off_t>(offset), SEEK_DATA);
    if (begin < 0 && errno != ENXIO) return Failure::here("read");
    off_t end = begin < 0 ? begin : lseek(file->get(), begin, SEEK_HOLE);
    if (begin >= 0 && end < 0) return Failure::here("read");
    append_number(out, static_cast<uint64_t>(status.st_size));
    append_number(out, static_cast<uint64_t>(begin < 0 ? status.st_size : begin));
    if (begin < 0) return {};
    size_t at = out.size();
    out.resize(at + std::min(kPieceBytes, static_cast<size_t>(end - begin)));
    ssize_t count = pread(file->get(), &out[at], out.size() - at, begin);
    if (count < 0) return Failure::here("read");
    out.resize(at + static_cast<size_t>(count));
    return {};
  }

  static Place place(Fields& fields) {
    auto root = fields.number<uint32_t>();
    return {root, fields.text()};
  }
  static bool complete(const Fields& fields) { return fields.done(); }
  Failure unreadable() {
    readable_ = false;
    return {"request", EBADMSG};
  }

  Marks marks_;
  Roots roots_;
  Listings listings_;
  bool readable_ = true;
};

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

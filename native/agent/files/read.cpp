#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "agent/files/entry.h"
#include "agent/files/operations.h"
#include "agent/files/resolve.h"
#include "common/conduit.h"

namespace plybox {
namespace {

constexpr size_t kPieceBytes = 262144;

// What goes from a file to the host: as the file's own pages, which nobody copies, where its file system can give them.
class Passage {
 public:
  Passage() { conduit_.open(kPieceBytes); }

  // Sends up to `want` bytes from `at` on; answers how many, or -1 with errno.
  ssize_t pass(Session& session, int file, uint64_t at, size_t want) {
    auto place = static_cast<off64_t>(at);
    if (conduit_) {
      ssize_t count = conduit_.fill(file, want, &place);
      if (count > 0) session.send_from(conduit_, static_cast<size_t>(count));
      if (count >= 0 || errno != EINVAL) return count;
      conduit_.close();
    }
    if (buffer_ == nullptr) buffer_.reset(new char[kPieceBytes]);
    ssize_t count = pread(file, buffer_.get(), want, place);
    if (count > 0) session.send({buffer_.get(), static_cast<size_t>(count)});
    return count;
  }

 private:
  Conduit conduit_;
  std::unique_ptr<char[]> buffer_;
};

std::string ack_json(const struct stat& status, const std::string& path, uint64_t from, uint64_t to) {
  JsonWriter json;
  json.begin_object().key("entry");
  write_entry(json, status, path.substr(path.rfind('/') + 1), -1, "");
  json.key("etag").string(etag_of(status));
  json.key("from").integer(from).key("to").integer(to);
  json.end_object();
  return json.text();
}

}  // namespace

Answer run(Session& session, const std::string& path, const ReadOp& op) {
  Outcome<UniqueFd> place = open_place(path);
  if (!place) return place.refusal();
  Outcome<UniqueFd> file = reopen(place->get(), O_RDONLY);
  if (!file) return file.refusal();
  struct stat status;
  if (fstat(file->get(), &status) != 0) return failed("stat");
  if (op.if_match && *op.if_match != etag_of(status)) return Refusal{"changed", "the file has changed", "ifMatch"};
  uint64_t size = static_cast<uint64_t>(status.st_size);
  // Files of /proc and /sys do not tell their size: they are read to their end.
  bool sized = size > 0 || status.st_blocks > 0;
  uint64_t to = std::min(op.to.value_or(UINT64_MAX), size);
  uint64_t from = std::min(op.from, to);
  session.ack(ack_json(status, path, from, to));

  posix_fadvise(file->get(), static_cast<off_t>(from), static_cast<off_t>(to - from), POSIX_FADV_SEQUENTIAL);
  uint64_t last = sized ? to : op.to.value_or(UINT64_MAX);
  uint64_t at = sized ? from : op.from;
  uint64_t first = at;
  Passage passage;
  while (at < last) {
    size_t want = static_cast<size_t>(std::min<uint64_t>({last - at, kPieceBytes, session.allowance()}));
    ssize_t count = passage.pass(session, file->get(), at, want);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("read");
    // It has become shorter meanwhile.
    if (count == 0) break;
    at += static_cast<uint64_t>(count);
  }
  session.end();
  return JsonWriter().begin_object().key("bytes").integer(at - first).end_object().text();
}

}  // namespace plybox

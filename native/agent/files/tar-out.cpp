#include <sys/stat.h>

#include <cstring>
#include <memory>

#include "agent/files/operations.h"
#include "agent/files/resolve.h"
#include "agent/files/tree-reader.h"

namespace plybox {
namespace {

// Collects headers and small files into large pieces; large content goes on without being copied again.
class Archive final : public TarSink {
 public:
  explicit Archive(Session& session) : session_(session) { waiting_.reserve(kPieceBytes); }

  Outcome<> begin(const TarEntry& entry) override {
    entries_++;
    size_ = entry.size;
    TarEntry named = entry;
    // As tar writes them, so that nothing of it looks absolute or like an option.
    if (entry.path != ".") named.path = "./" + entry.path;
    if (entry.hard_link) named.link = "./" + entry.link;
    add(tar_header(named));
    return {};
  }
  Outcome<> content(std::string_view bytes) override {
    add(bytes);
    return {};
  }
  Outcome<> end() override {
    add(std::string(tar_padding(size_), '\0'));
    return {};
  }

  uint64_t finish() {
    // Two empty blocks end an archive, which is filled up to a whole record of tapes.
    constexpr size_t kRecord = 20 * kTarBlock;
    size_t end = 2 * kTarBlock;
    end += (kRecord - (total_ + end) % kRecord) % kRecord;
    add(std::string(end, '\0'));
    flush();
    return entries_;
  }

 private:
  static constexpr size_t kPieceBytes = 262144;

  void add(std::string_view bytes) {
    total_ += bytes.size();
    if (waiting_.size() + bytes.size() > kPieceBytes) flush();
    if (bytes.size() >= kPieceBytes / 2) return session_.send(bytes);
    waiting_ += bytes;
  }
  void flush() {
    session_.send(waiting_);
    waiting_.clear();
  }

  Session& session_;
  std::string waiting_;
  uint64_t size_ = 0;
  uint64_t total_ = 0;
  uint64_t entries_ = 0;
};

}  // namespace

Answer run(Session& session, const std::string& path, const TarOutOp& op) {
  Outcome<UniqueFd> place = open_place(path);
  if (!place) return place.refusal();
  struct stat status;
  if (fstat(place->get(), &status) != 0) return failed("stat");
  // What cannot even be begun is refused before the ack.
  if (S_ISDIR(status.st_mode)) {
    if (Outcome<UniqueFd> top = open_directory(place->get()); !top) return top.refusal();
  }
  std::string name = path.substr(0, path.find_last_not_of('/') + 1);
  session.ack();
  Archive archive(session);
  Outcome<> read = read_tree(&session, place->get(), name.substr(name.rfind('/') + 1), op.exclude, archive);
  if (!read) return read.refusal();
  uint64_t entries = archive.finish();
  session.end();
  return JsonWriter().begin_object().key("entries").integer(entries).end_object().text();
}

}  // namespace plybox

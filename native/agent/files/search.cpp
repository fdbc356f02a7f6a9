#include <fcntl.h>
#include <fnmatch.h>

#include "agent/files/content-search.h"
#include "agent/files/entry.h"
#include "agent/files/lines.h"
#include "agent/files/operations.h"
#include "agent/files/resolve.h"
#include "agent/files/walk.h"

namespace plybox {
namespace {

bool continues(char c) { return (c & 0xc0) == 0x80; }

// At most `most` bytes of the line, with the match in them, and no character cut where it is UTF-8.
std::string_view around(const Match& match, size_t most) {
  std::string_view line = match.text;
  if (line.size() <= most) return line;
  size_t shown = std::min(match.length, most);
  size_t before = (most - shown) / 2;
  size_t start = std::min(match.start > before ? match.start - before : 0, line.size() - most);
  size_t end = start + most;
  for (int i = 0; i < 3 && start < match.start && continues(line[start]); i++) start++;
  for (int i = 0; i < 3 && end > start && end < line.size() && continues(line[end]); i++) end--;
  return line.substr(start, end - start);
}

class Searcher final : public Visitor {
 public:
  Searcher(Session& session, const SearchOp& op, const Pattern* pattern) : session_(session), op_(op), lines_(session) {
    if (pattern != nullptr) content_.emplace(*pattern);
  }

  Outcome<> visit(const Place& place) override {
    lines_.flush_if_old();
    if (op_.name) {
      int flags = op_.ignore_case ? FNM_CASEFOLD : 0;
      if (fnmatch(op_.name->c_str(), place.name, flags) != 0) return count();
    }
    struct stat status;
    if (fstatat(place.directory, place.name, &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
    if (content_) return S_ISREG(status.st_mode) ? search(place) : Outcome<>();
    files_++;
    JsonWriter json;
    json.begin_object().key("path").bytes(place.path).key("entry");
    write_entry(json, status, place.name, place.directory, place.name);
    return add(json.end_object().text());
  }
  bool enters(const Place& place) override { return !op_.depth || place.depth < *op_.depth; }
  size_t longest_path() const override { return kLongestPath; }
  // What cannot be read is not found.
  Outcome<> unreadable(const Place&, const Refusal&) override { return {}; }

  std::string finish() {
    lines_.flush();
    JsonWriter json;
    json.begin_object().key("matches").integer(matches_).key("more").boolean(more_).key("files").integer(files_);
    return json.end_object().text();
  }
  bool more() const { return more_; }

 private:
  Outcome<> count() {
    if (!content_) files_++;
    return {};
  }

  Outcome<> search(const Place& place) {
    UniqueFd spot(openat(place.directory, place.name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    Outcome<UniqueFd> file = spot ? reopen(spot.get(), O_RDONLY) : failed("open");
    struct stat status;
    if (!file || fstat(file->get(), &status) != 0) return {};
    files_++;
    auto take = [&](const Match& match) { return static_cast<bool>(add(line_json(place, match))); };
    // A file that cannot be read to its end is passed over like one that cannot be opened.
    (void)!content_->run(file->get(), static_cast<uint64_t>(status.st_size), take, [&] { session_.breathe(); });
    return more_ ? Outcome<>(Refusal{"", ""}) : Outcome<>();
  }

  std::string line_json(const Place& place, const Match& match) const {
    JsonWriter json;
    json.begin_object().key("path").bytes(place.path);
    json.key("line").integer(match.line).key("column").integer(match.column);
    json.key("text").bytes(around(match, op_.context_bytes));
    return json.end_object().text();
  }

  // The refusal ends the walk and is not told.
  Outcome<> add(const std::string& line) {
    if (op_.limit && matches_ >= *op_.limit) {
      more_ = true;
      return Refusal{"", ""};
    }
    matches_++;
    lines_.add(line);
    return {};
  }

  Session& session_;
  const SearchOp& op_;
  std::optional<ContentSearch> content_;
  Lines lines_;
  uint64_t matches_ = 0;
  uint64_t files_ = 0;
  bool more_ = false;
};

}  // namespace

Answer run(Session& session, const std::string& path, const SearchOp& op) {
  std::unique_ptr<Pattern> pattern;
  if (op.content) {
    Outcome<std::unique_ptr<Pattern>> made = Pattern::make(*op.content, op.regex, op.ignore_case);
    if (!made) return made.refusal();
    pattern = made.take();
  }
  Outcome<UniqueFd> place = open_directory_place(path);
  if (!place) return place.refusal();
  Outcome<UniqueFd> top = open_directory(place->get());
  if (!top) return top.refusal();
  session.ack();
  Searcher searcher(session, op, pattern.get());
  Outcome<> walked = walk(&session, top.take(), Order::kPath, searcher);
  if (!walked && !searcher.more()) return walked.refusal();
  std::string report = searcher.finish();
  session.end();
  return report;
}

}  // namespace plybox

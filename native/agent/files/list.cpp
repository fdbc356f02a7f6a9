#include <fcntl.h>

#include "agent/files/entry.h"
#include "agent/files/lines.h"
#include "agent/files/operations.h"
#include "agent/files/resolve.h"
#include "agent/files/walk.h"

namespace plybox {
namespace {

class Lister final : public Visitor {
 public:
  Lister(Session& session, const ListOp& op) : op_(op), lines_(session) {}

  Outcome<> visit(const Place& place) override {
    if (hidden(place) || (!op_.after.empty() && place.path <= op_.after)) return {};
    struct stat status;
    // What is gone by now is not listed.
    if (fstatat(place.directory, place.name, &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
    if (full()) return stop();
    JsonWriter json;
    json.begin_object().key("path").bytes(place.path).key("entry");
    write_entry(json, status, place.name, place.directory, place.name);
    lines_.add(json.end_object().text());
    entries_++;
    return {};
  }

  bool enters(const Place& place) override {
    if (stopped_ || hidden(place) || place.depth >= op_.depth) return false;
    // All of it lies before `after`, unless that is below this very directory.
    std::string prefix = std::string(place.path) + "/";
    return op_.after < prefix || std::string_view(op_.after).starts_with(prefix);
  }

  size_t longest_path() const override { return kLongestPath; }

  // Named as "a/", which is where its content would stand.
  Outcome<> unreadable(const Place& place, const Refusal& refusal) override {
    std::string path = std::string(place.path) + "/";
    if (refusal.error == ENOENT || path <= op_.after) return {};
    if (full()) return stop();
    JsonWriter json;
    json.begin_object().key("path").bytes(path).key("error");
    json.begin_object().key("code").string(refusal.code).end_object().end_object();
    lines_.add(json.text());
    entries_++;
    return {};
  }

  std::string finish() {
    lines_.flush();
    JsonWriter json;
    json.begin_object().key("entries").integer(entries_).key("more").boolean(stopped_).end_object();
    return json.text();
  }
  bool stopped() const { return stopped_; }

 private:
  bool hidden(const Place& place) const { return !op_.hidden && place.name[0] == '.'; }
  bool full() const { return op_.limit && entries_ >= *op_.limit; }
  // Ends the walk; the refusal itself is not told.
  Refusal stop() {
    stopped_ = true;
    return {"", ""};
  }

  const ListOp& op_;
  Lines lines_;
  uint64_t entries_ = 0;
  bool stopped_ = false;
};

}  // namespace

Answer run(Session& session, const std::string& path, const ListOp& op) {
  Outcome<UniqueFd> place = open_directory_place(path);
  if (!place) return place.refusal();
  Outcome<UniqueFd> top = open_directory(place->get());
  if (!top) return top.refusal();
  session.ack();
  Lister lister(session, op);
  Outcome<> walked = walk(&session, top.take(), Order::kPath, lister);
  if (!walked && !lister.stopped()) return walked.refusal();
  std::string report = lister.finish();
  session.end();
  return report;
}

}  // namespace plybox

#include "tree/server.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tree/entry.h"
#include "tree/extents.h"
#include "tree/overlay.h"
#include "tree/survey.h"

namespace plybox::tree {
namespace {

constexpr size_t kPieceBytes = 262144;

}  // namespace

bool Server::answer(std::string_view request, std::string& out) {
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

Result<> Server::serve(Operation operation, Fields& fields, std::string& out) {
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

Result<> Server::change(Operation operation, Fields& fields) {
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

Result<> Server::open_root(Fields& fields, std::string& out) {
  std::string path = fields.text();
  if (!complete(fields)) return unreadable();
  UniqueFd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return Failure::here("open");
  append_number(out, roots_.add(std::move(root)));
  return {};
}

Result<> Server::overlay(Fields& fields, std::string& out) {
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

Result<> Server::entry(const Place& place, Fields& fields, std::string& out) {
  if (!complete(fields)) return unreadable();
  Result<Spot> spot = roots_.spot(place.root, place.path);
  if (!spot) return spot.failure();
  Result<Entry> entry = read_entry(spot->directory.get(), spot->name.c_str(), marks_);
  if (!entry) return entry.failure();
  append_entry(out, place.path.empty() ? "" : spot->name, *entry);
  return {};
}

Result<> Server::shared(Fields& fields, std::string& out) {
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

Result<> Server::survey_root(Fields& fields, std::string& out) {
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

Result<> Server::read(const Place& place, Fields& fields, std::string& out) {
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

Place Server::place(Fields& fields) {
  auto root = fields.number<uint32_t>();
  return {root, fields.text()};
}

bool Server::complete(const Fields& fields) { return fields.done(); }

Failure Server::unreadable() {
  readable_ = false;
  return {"request", EBADMSG};
}

}  // namespace plybox::tree

#include <fcntl.h>

#include "agent/files/entry.h"
#include "agent/files/operations.h"
#include "agent/files/resolve.h"

namespace plybox {

Answer run(Session&, const std::string& path, const StatOp& op) {
  Outcome<UniqueFd> place = open_place(path, op.follow ? LastLink::kFollow : LastLink::kStay);
  if (!place) return place.refusal();
  struct stat status;
  if (fstat(place->get(), &status) != 0) return failed("stat");
  std::string resolved = current_path(place->get());
  if (resolved.empty()) resolved = path;
  JsonWriter json;
  json.begin_object().key("entry");
  write_entry(json, status, resolved.size() == 1 ? resolved : resolved.substr(resolved.rfind('/') + 1), place->get(),
              "");
  json.key("etag").string(etag_of(status));
  json.key("path").bytes(resolved);
  json.end_object();
  return json.text();
}

}  // namespace plybox

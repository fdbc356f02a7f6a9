#include "common/refusal.h"

#include "common/errno-name.h"

namespace plybox {

std::string to_json(const Refusal& refusal) {
  JsonWriter json;
  json.begin_object().key("code").string(refusal.code).key("message").string(refusal.message);
  if (!refusal.field.empty()) json.key("field").string(refusal.field);
  if (refusal.step[0] != '\0') json.key("step").string(refusal.step);
  if (refusal.error != 0) json.key("errno").string(errno_name(refusal.error));
  json.end_object();
  return json.text();
}

}  // namespace plybox

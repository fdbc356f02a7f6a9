#include <doctest/doctest.h>

#include <string>

#include "launcher/graft.h"
#include "launcher/pool.h"

using namespace plybox;

namespace {

const std::string kGraft = R"({"pid": 4711, "startTime": 123456, "layer": {"path": "/run/layers/a", "idmap": true},
  "upper": "/run/uppers/sb", "work": "0a-f", "ids": {"base": 1879048192, "count": 65536}, "setuid": false,
  "points": ["/opt/tool", "/srv/a b"]})";
const std::string kSteps = R"({"steps": [{"do": "limit", "path": "/pool", "group": 7, "bytes": 4096},
  {"do": "create", "path": "/pool/a", "group": 7},
  {"do": "snapshot", "path": "/pool/b", "source": "/pool/a", "group": 281474976710655, "readOnly": true},
  {"do": "delete", "path": "/pool/b"}, {"do": "prune", "path": "/pool"}]})";

// `text` with its first `old_text` made into `new_text`; a text that is not there fails the test.
std::string with(std::string text, std::string_view old_text, std::string_view new_text) {
  size_t at = text.find(old_text);
  REQUIRE(at != text.npos);
  return text.replace(at, old_text.size(), new_text);
}

// The field that is refused, or "".
template <typename Read>
std::string refused(const std::string& text, Read read) {
  JsonDocument document;
  JsonObject request = document.parse(text);
  read(request);
  request.finish();
  return document.problem().field;
}

std::string refused_graft(std::string_view old_text, std::string_view new_text) {
  return refused(with(kGraft, old_text, new_text), [](JsonObject& request) { (void)read_graft(request); });
}
std::string refused_steps(std::string_view old_text, std::string_view new_text) {
  return refused(with(kSteps, old_text, new_text), [](JsonObject& request) { (void)read_pool_steps(request); });
}

}  // namespace

TEST_CASE("a graft says what of which layer goes where in which sandbox") {
  JsonDocument document;
  JsonObject request = document.parse(kGraft);
  GraftPlan plan = read_graft(request);
  request.finish();
  CHECK_FALSE(document.problem().found());
  CHECK(plan.pid == 4711);
  CHECK(plan.start_time == 123456);
  CHECK(plan.layer.path == "/run/layers/a");
  CHECK(plan.layer.idmap);
  CHECK(plan.upper == "/run/uppers/sb");
  CHECK(plan.work == "0a-f");
  CHECK(plan.ids.inside == 0);
  CHECK(plan.ids.outside == 1879048192);
  CHECK(plan.ids.count == 65536);
  CHECK_FALSE(plan.setuid);
  CHECK(plan.points == std::vector<std::string>{"/opt/tool", "/srv/a b"});
}

TEST_CASE("a graft that cannot be is refused by the field") {
  CHECK(refused_graft("\"pid\": 4711", "\"pid\": 0") == "pid");
  CHECK(refused_graft("\"base\": 1879048192", "\"base\": 0") == "ids.base");
  CHECK(refused_graft("\"idmap\": true", "\"idmap\": true, \"more\": 1") == "layer.more");
  CHECK(refused_graft("\"setuid\": false", "\"setuid\": 1") == "setuid");
  for (const char* work : {"\"\"", "\"..\"", "\"a/b\"", "\"A\""}) CHECK(refused_graft("\"0a-f\"", work) == "work");
  for (const char* upper : {"\"run\"", "\"/run/../x\"", "\"\""})
    CHECK(refused_graft("\"/run/uppers/sb\"", upper) == "upper");
  for (const char* point : {"\"/\"", "\"opt\"", "\"/opt/../etc\"", "\"/opt/\"", "\"\""})
    CHECK(refused_graft("\"/opt/tool\"", point) == "points");
  CHECK(refused_graft("[\"/opt/tool\", \"/srv/a b\"]", "[]") == "points");
}

TEST_CASE("steps in a pool say what they need, and nothing else") {
  JsonDocument document;
  JsonObject request = document.parse(kSteps);
  std::vector<PoolStep> steps = read_pool_steps(request);
  request.finish();
  CHECK_FALSE(document.problem().found());
  REQUIRE(steps.size() == 5);
  CHECK(steps[0].kind == PoolStep::Kind::kLimit);
  CHECK(steps[0].bytes == 4096);
  CHECK(steps[2].source == "/pool/a");
  CHECK(steps[2].read_only);
  CHECK(steps[2].group == 281474976710655);

  CHECK(refused_steps("\"prune\"", "\"grow\"") == "steps.4.do");
  CHECK(refused_steps("\"group\": 281474976710655", "\"group\": 281474976710656") == "steps.2.group");
  CHECK(refused_steps("\"group\": 7, \"bytes\"", "\"group\": 0, \"bytes\"") == "steps.0.group");
  CHECK(refused_steps("\"readOnly\": true", "\"readOnly\": true, \"bytes\": 1") == "steps.2.bytes");
  CHECK(refused_steps("\"path\": \"/pool\"}", "\"path\": \"/\"}") == "steps.4.path");
  CHECK(refused_steps("\"path\": \"/pool/b\", \"source\"", "\"path\": \"b\", \"source\"") == "steps.2.path");
}

#include "common/json.h"

#include <doctest/doctest.h>

#include "common/refusal.h"

using namespace plybox;

namespace {

// Reads one of each kind of member; answers "field: message" of the first problem, or "".
std::string problem_of(std::string_view text) {
  JsonDocument document;
  JsonObject json = document.parse(text);
  json.string("name", 8);
  json.optional_integer("count", 2, 9);
  json.optional_boolean("flag", false);
  if (std::optional<JsonArray> list = json.optional_array("list")) {
    for (size_t i = 0; i < list->size(); i++) {
      JsonObject item = list->object(i);
      item.string("path");
      item.finish();
    }
  }
  if (json.has("map")) json.string_map("map");
  json.finish();
  const JsonProblem& problem = document.problem();
  return problem.found() ? problem.field + ": " + problem.message : "";
}

}  // namespace

TEST_CASE("a sound object is read") {
  CHECK(problem_of(R"({"name":"a","count":9,"flag":true,"list":[{"path":"/"}],"map":{"A":"b"}})") == "");
  CHECK(problem_of(R"( { "name" : "\u00e9" } )") == "");
}

TEST_CASE("the first wrong field is named by its dotted path") {
  CHECK(problem_of(R"({})") == "name: is missing");
  CHECK(problem_of(R"({"name":1})") == "name: is not a string");
  CHECK(problem_of(R"({"name":"123456789"})") == "name: is longer than 8 bytes");
  CHECK(problem_of("{\"name\":\"a\\u0000b\"}") == "name: holds a NUL byte");
  for (const char* count : {"1", "10", "-3", "2.5", "\"3\"", "1e99", "18446744073709551616", "null"}) {
    CAPTURE(count);
    CHECK(problem_of(std::string(R"({"name":"a","count":)") + count + "}") == "count: is not an integer from 2 to 9");
  }
  CHECK(problem_of(R"({"name":"a","flag":1})") == "flag: is not true or false");
  CHECK(problem_of(R"({"name":"a","list":[{"path":"/"},{"path":2}]})") == "list.1.path: is not a string");
  CHECK(problem_of(R"({"name":"a","list":[1]})") == "list.0: is not an object");
  CHECK(problem_of(R"({"name":"a","map":{"A":1}})") == "map.A: is not a string");
}

TEST_CASE("unknown and repeated members are refused, wherever they are") {
  CHECK(problem_of(R"({"name":"a","nmae":"b"})") == "nmae: is not a known field");
  CHECK(problem_of(R"({"name":"a","name":"b"})") == "name: is given twice");
  CHECK(problem_of(R"({"name":"a","list":[{"path":"/","extra":1}]})") == "list.0.extra: is not a known field");
}

TEST_CASE("what is not one JSON object is a problem of the document") {
  for (std::string_view text :
       {"", "[]", "1", "{\"name\":\"a\"} x", "{\"name\":\"a\"", "{'name':1}", "{\"name\":\"\xff\"}", "nul"}) {
    CAPTURE(text);
    CHECK(problem_of(text).starts_with(": "));
  }
}

TEST_CASE("deep nesting is refused without running out of stack") {
  CHECK(problem_of(std::string(1000000, '[')).starts_with(": "));
  std::string deep = R"({"name":"a","extra":)" + std::string(100000, '[') + std::string(100000, ']') + "}";
  CHECK(problem_of(deep) == "extra: is not a known field");
}

TEST_CASE("the writer separates, escapes and keeps three decimals") {
  JsonWriter json;
  json.begin_object().key("a").string("q\"\\\n\x01é").key("b").begin_array();
  json.integer(1).boolean(true).null().begin_object().end_object().end_array();
  for (uint64_t value : {0, 1, 10, 1000, 1234, 1200, 999}) json.key("t").thousandths(value);
  json.end_object();
  CHECK(
      json.text() ==
      R"({"a":"q\"\\\u000a\u0001é","b":[1,true,null,{}],"t":0,"t":0.001,"t":0.01,"t":1,"t":1.234,"t":1.2,"t":0.999})");
}

TEST_CASE("what the writer writes is always UTF-8") {
  for (std::string_view text :
       {"\xff", "\xc3", "a\xe2\x82z", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xc0\x80", "\xf0\x9f\x98\x80"}) {
    JsonWriter json;
    json.begin_object().key("name").string(text).end_object();
    CAPTURE(json.text());
    JsonDocument document;
    document.parse(json.text()).string("name");
    CHECK_FALSE(document.problem().found());
  }
}

TEST_CASE("a refusal names only what it has") {
  CHECK(to_json(Refusal{"no", "why"}) == R"({"code":"no","message":"why"})");
  CHECK(to_json(Refusal{"no", "why", "a.b", "step", 2}) ==
        R"({"code":"no","message":"why","field":"a.b","step":"step","errno":"ENOENT"})");
}

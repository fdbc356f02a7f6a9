// Strict JSON objects in, JSON text out. A reader names the dotted path of the first thing that is wrong, and refuses
// members that nobody asked for.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Bounds are checked by the reader below; what is left would be a bug, and ends the program rather than going on.
#define RAPIDJSON_ASSERT(condition) ((condition) ? void() : std::abort())
#include <rapidjson/document.h>

namespace plybox {

// The first thing wrong with a document. `field` is such as "plan.root.layers.0.path", or "" for the document itself.
struct JsonProblem {
  std::string field;
  std::string message;

  bool found() const { return !message.empty(); }
};

class JsonArray;

// Reads the members of one object. Getters never fail: they answer a harmless value after the first problem, so that a
// decoder reads every member in a row and asks once, at the end.
class JsonObject {
 public:
  JsonObject(const rapidjson::Value* value, std::string path, JsonProblem& problem);

  bool has(const char* name) const;

  // Strings hold no NUL, so that they may be passed on as C strings; at most `max_bytes` long.
  std::string_view string(const char* name, size_t max_bytes = kAnyLength);
  std::optional<std::string_view> optional_string(const char* name, size_t max_bytes = kAnyLength);
  // A string, or {"base64":"…"} for what is not UTF-8; without NUL.
  std::string bytes(const char* name, size_t max_bytes = kAnyLength);
  // The same, with NUL bytes where it is base64.
  std::string content(const char* name, size_t max_bytes = kAnyLength);
  uint64_t integer(const char* name, uint64_t min, uint64_t max);
  std::optional<uint64_t> optional_integer(const char* name, uint64_t min, uint64_t max);
  bool boolean(const char* name);
  bool optional_boolean(const char* name, bool otherwise);
  JsonObject object(const char* name);
  std::optional<JsonObject> optional_object(const char* name);
  JsonArray array(const char* name);
  std::optional<JsonArray> optional_array(const char* name);
  // An object whose values are all strings, in its order.
  std::vector<std::pair<std::string_view, std::string_view>> string_map(const char* name);

  // Refuses members that were not asked for, and repeated ones. To be called once all have been read.
  void finish();

  std::string path_of(std::string_view name) const;
  // Marks the member `name` as wrong, where only the caller can judge it.
  void refuse(std::string_view name, std::string message);

  static constexpr size_t kAnyLength = std::numeric_limits<size_t>::max();

 private:
  const rapidjson::Value* find(const char* name, bool required);

  const rapidjson::Value* value_;  // null: nothing to read, a problem has been found already
  std::string path_;
  JsonProblem* problem_;
  // Names asked for, so that finish() can tell the others. Literals, so they outlive the reader.
  std::vector<const char*> asked_;
};

class JsonArray {
 public:
  JsonArray(const rapidjson::Value* value, std::string path, JsonProblem& problem)
      : value_(value), path_(std::move(path)), problem_(&problem) {}

  size_t size() const { return value_ == nullptr ? 0 : value_->Size(); }
  // `index` is below size().
  JsonObject object(size_t index);
  JsonArray array(size_t index);
  std::string_view string(size_t index, size_t max_bytes = JsonObject::kAnyLength);
  // All members, which must be strings.
  std::vector<std::string_view> strings(size_t max_bytes = JsonObject::kAnyLength);
  std::string path_of(size_t index) const;

 private:
  const rapidjson::Value* value_;
  std::string path_;
  JsonProblem* problem_;
};

// A parsed document; the strings that its readers answer live as long as it does.
class JsonDocument {
 public:
  JsonDocument() : allocator_(first_, sizeof(first_), kChunkBytes), document_(&allocator_, 256) {}
  JsonDocument(const JsonDocument&) = delete;
  JsonDocument& operator=(const JsonDocument&) = delete;

  // The reader of the top object. Text that is not one JSON object in valid UTF-8 is a problem of field "".
  JsonObject parse(std::string_view text);
  JsonProblem& problem() { return problem_; }

 private:
  static constexpr size_t kChunkBytes = 16384;
  // A usual request fits here and is parsed without an allocation.
  alignas(16) char first_[2048];
  rapidjson::MemoryPoolAllocator<> allocator_;
  rapidjson::Document document_;
  JsonProblem problem_;
};

bool is_utf8(std::string_view text);

// Writes compact JSON. Commas are its own business; that begin and end match is the caller's.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return shut('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return shut(']'); }
  JsonWriter& key(std::string_view name);
  // Bytes that are not UTF-8 become U+FFFD.
  JsonWriter& string(std::string_view text);
  // As string, but as {"base64":"…"} where it is not UTF-8.
  JsonWriter& bytes(std::string_view bytes);
  JsonWriter& integer(uint64_t value);
  // `value` / 1000 with up to three decimals: milliseconds from microseconds, microseconds from nanoseconds.
  JsonWriter& thousandths(uint64_t value);
  JsonWriter& boolean(bool value);
  JsonWriter& null();
  // A value that is JSON already.
  JsonWriter& raw(std::string_view json);

  const std::string& text() const { return text_; }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& shut(char bracket);
  void separate();
  void quote(std::string_view text);

  std::string text_;
  bool comma_ = false;
};

}  // namespace plybox

#include "common/json.h"

#include <cstring>

#include "common/base64.h"

namespace plybox {
namespace {

void report(JsonProblem& problem, std::string field, std::string message) {
  if (!problem.found()) problem = {std::move(field), std::move(message)};
}

std::string_view text_of(const rapidjson::Value& value) { return {value.GetString(), value.GetStringLength()}; }

std::string_view checked_string(const rapidjson::Value& value, const std::string& path, size_t max,
                                JsonProblem& problem) {
  if (!value.IsString()) {
    report(problem, path, "is not a string");
    return {};
  }
  std::string_view text = text_of(value);
  if (text.find('\0') != text.npos) {
    report(problem, path, "holds a NUL byte");
    return {};
  }
  if (text.size() > max) {
    report(problem, path, "is longer than " + std::to_string(max) + " bytes");
    return {};
  }
  return text;
}

std::string joined(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}

const rapidjson::Value* as_object(const rapidjson::Value& value, const std::string& path, JsonProblem& problem) {
  if (value.IsObject()) return &value;
  report(problem, path, "is not an object");
  return nullptr;
}

const rapidjson::Value* as_array(const rapidjson::Value& value, const std::string& path, JsonProblem& problem) {
  if (value.IsArray()) return &value;
  report(problem, path, "is not an array");
  return nullptr;
}

}  // namespace

JsonObject::JsonObject(const rapidjson::Value* value, std::string path, JsonProblem& problem)
    : value_(value), path_(std::move(path)), problem_(&problem) {}

std::string JsonObject::path_of(std::string_view name) const { return joined(path_, name); }

void JsonObject::refuse(std::string_view name, std::string message) {
  report(*problem_, path_of(name), std::move(message));
}

bool JsonObject::has(const char* name) const { return value_ != nullptr && value_->HasMember(name); }

const rapidjson::Value* JsonObject::find(const char* name, bool required) {
  if (value_ == nullptr) return nullptr;
  asked_.push_back(name);
  auto member = value_->FindMember(name);
  if (member != value_->MemberEnd()) return &member->value;
  if (required) refuse(name, "is missing");
  return nullptr;
}

std::string_view JsonObject::string(const char* name, size_t max_bytes) {
  const rapidjson::Value* value = find(name, true);
  return value == nullptr ? std::string_view() : checked_string(*value, path_of(name), max_bytes, *problem_);
}

std::optional<std::string_view> JsonObject::optional_string(const char* name, size_t max_bytes) {
  const rapidjson::Value* value = find(name, false);
  if (value == nullptr) return std::nullopt;
  return checked_string(*value, path_of(name), max_bytes, *problem_);
}

std::string JsonObject::bytes(const char* name, size_t max_bytes) {
  std::string bytes = content(name, max_bytes);
  if (bytes.find('\0') == bytes.npos) return bytes;
  refuse(std::string(name) + ".base64", "holds a NUL byte");
  return {};
}

std::string JsonObject::content(const char* name, size_t max_bytes) {
  const rapidjson::Value* value = find(name, true);
  if (value == nullptr) return {};
  std::string path = path_of(name);
  if (!value->IsObject()) return std::string(checked_string(*value, path, max_bytes, *problem_));
  JsonObject object(value, path, *problem_);
  std::optional<std::string> bytes = from_base64(object.string("base64"));
  object.finish();
  if (!bytes) {
    object.refuse("base64", "is not base64");
  } else if (bytes->size() > max_bytes) {
    refuse(name, "is longer than " + std::to_string(max_bytes) + " bytes");
  }
  return problem_->found() ? std::string() : *bytes;
}

std::optional<uint64_t> JsonObject::optional_integer(const char* name, uint64_t min, uint64_t max) {
  const rapidjson::Value* value = find(name, false);
  if (value == nullptr) return std::nullopt;
  if (!value->IsUint64() || value->GetUint64() < min || value->GetUint64() > max) {
    refuse(name, "is not an integer from " + std::to_string(min) + " to " + std::to_string(max));
    return std::nullopt;
  }
  return value->GetUint64();
}

uint64_t JsonObject::integer(const char* name, uint64_t min, uint64_t max) {
  std::optional<uint64_t> value = optional_integer(name, min, max);
  if (!value && !has(name)) refuse(name, "is missing");
  return value.value_or(min);
}

bool JsonObject::boolean(const char* name) {
  if (!has(name)) refuse(name, "is missing");
  return optional_boolean(name, false);
}

bool JsonObject::optional_boolean(const char* name, bool otherwise) {
  const rapidjson::Value* value = find(name, false);
  if (value == nullptr) return otherwise;
  if (!value->IsBool()) refuse(name, "is not true or false");
  return value->IsTrue();
}

JsonObject JsonObject::object(const char* name) {
  const rapidjson::Value* value = find(name, true);
  std::string path = path_of(name);
  return {value == nullptr ? nullptr : as_object(*value, path, *problem_), path, *problem_};
}

std::optional<JsonObject> JsonObject::optional_object(const char* name) {
  if (has(name)) return object(name);
  return std::nullopt;
}

JsonArray JsonObject::array(const char* name) {
  const rapidjson::Value* value = find(name, true);
  std::string path = path_of(name);
  return {value == nullptr ? nullptr : as_array(*value, path, *problem_), path, *problem_};
}

std::optional<JsonArray> JsonObject::optional_array(const char* name) {
  if (has(name)) return array(name);
  return std::nullopt;
}

std::vector<std::pair<std::string_view, std::string_view>> JsonObject::string_map(const char* name) {
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  const rapidjson::Value* value = find(name, true);
  std::string path = path_of(name);
  if (value == nullptr || as_object(*value, path, *problem_) == nullptr) return pairs;
  pairs.reserve(value->MemberCount());
  for (auto member = value->MemberBegin(); member != value->MemberEnd(); ++member) {
    std::string_view key = text_of(member->name);
    if (key.find('\0') != key.npos) report(*problem_, path, "has a name with a NUL byte");
    pairs.emplace_back(key, checked_string(member->value, joined(path, key), kAnyLength, *problem_));
  }
  return pairs;
}

void JsonObject::finish() {
  if (value_ == nullptr) return;
  std::vector<bool> seen(asked_.size());
  for (auto member = value_->MemberBegin(); member != value_->MemberEnd(); ++member) {
    std::string_view name = text_of(member->name);
    size_t i = 0;
    while (i < asked_.size() && name != asked_[i]) i++;
    if (i == asked_.size()) return refuse(name, "is not a known field");
    if (seen[i]) return refuse(name, "is given twice");
    seen[i] = true;
  }
}

std::string JsonArray::path_of(size_t index) const { return joined(path_, std::to_string(index)); }

JsonObject JsonArray::object(size_t index) {
  std::string path = path_of(index);
  return {as_object((*value_)[static_cast<rapidjson::SizeType>(index)], path, *problem_), path, *problem_};
}

JsonArray JsonArray::array(size_t index) {
  std::string path = path_of(index);
  return {as_array((*value_)[static_cast<rapidjson::SizeType>(index)], path, *problem_), path, *problem_};
}

std::string_view JsonArray::string(size_t index, size_t max_bytes) {
  return checked_string((*value_)[static_cast<rapidjson::SizeType>(index)], path_of(index), max_bytes, *problem_);
}

std::vector<std::string_view> JsonArray::strings(size_t max_bytes) {
  std::vector<std::string_view> texts;
  texts.reserve(size());
  for (size_t i = 0; i < size(); i++) texts.push_back(string(i, max_bytes));
  return texts;
}

JsonObject JsonDocument::parse(std::string_view text) {
  // Iterative: nesting costs heap in proportion to the text instead of stack.
  constexpr unsigned kFlags = rapidjson::kParseValidateEncodingFlag | rapidjson::kParseIterativeFlag;
  document_.Parse<kFlags>(text.data(), text.size());
  if (document_.HasParseError()) {
    report(problem_, "", "is not JSON from byte " + std::to_string(document_.GetErrorOffset()) + " on");
    return {nullptr, "", problem_};
  }
  return {as_object(document_, "", problem_), "", problem_};
}

}  // namespace plybox

// What a step of a file operation comes to: a value, or the refusal that the host is told.
#pragma once
#include <optional>
#include <string>
#include <utility>

#include "common/refusal.h"

namespace plybox {

template <typename Value = void>
class [[nodiscard]] Outcome {
 public:
  Outcome(Value value) : value_(std::move(value)) {}
  Outcome(Refusal refusal) : refusal_(std::move(refusal)) {}

  explicit operator bool() const { return value_.has_value(); }
  Value& operator*() { return *value_; }
  const Value& operator*() const { return *value_; }
  Value* operator->() { return &*value_; }
  const Value* operator->() const { return &*value_; }
  Value take() { return std::move(*value_); }
  // Only where there is no value.
  const Refusal& refusal() const { return refusal_; }

 private:
  std::optional<Value> value_;
  Refusal refusal_{"", ""};
};

template <>
class [[nodiscard]] Outcome<void> {
 public:
  Outcome() = default;
  Outcome(Refusal refusal) : refusal_(std::move(refusal)) {}

  explicit operator bool() const { return !refusal_; }
  const Refusal& refusal() const { return *refusal_; }

 private:
  std::optional<Refusal> refusal_;
};

// The code of docs/protocol.md for an errno of a file's system call.
const char* file_error_code(int error);
// A refusal for the system call that has just failed, by errno. `step` is such as "open".
Refusal failed(const char* step, const char* field = "");
Refusal failed(const char* step, int error, const char* field = "");

}  // namespace plybox

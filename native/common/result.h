#pragma once
#include <cerrno>
#include <optional>
#include <utility>

namespace plybox {

// Why an operation did not succeed: the step that failed, a string literal such as "overlay", and its errno.
struct Failure {
  const char* step;
  int error;

  static Failure here(const char* step) { return {step, errno}; }
};

// A value, or the Failure that stands in its place.
template <typename Value = void>
class [[nodiscard]] Result {
 public:
  Result(Value value) : value_(std::move(value)) {}
  Result(Failure failure) : failure_(failure) {}

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  Value& operator*() { return *value_; }
  const Value& operator*() const { return *value_; }
  Value* operator->() { return &*value_; }
  Value take() { return std::move(*value_); }
  // Only where !ok().
  Failure failure() const { return failure_; }

 private:
  std::optional<Value> value_;
  Failure failure_{"", 0};
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Failure failure) : failure_(failure), ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  Failure failure() const { return failure_; }

 private:
  Failure failure_{"", 0};
  bool ok_ = true;
};

}  // namespace plybox

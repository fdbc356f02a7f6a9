// The bytes of requests and answers: numbers as this machine has them, since both ends are on it. All machines that
// Plybox runs on have the low byte first.
#pragma once
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace plybox::tree {

// Takes the fields of a request; the first one that is not there makes all that follow 0 or empty, and ok() false.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  template <typename Number>
  Number number() {
    Number value{};
    std::string_view bytes = take(sizeof(value));
    if (ok_) std::memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }
  std::string text() { return std::string(take(number<uint32_t>())); }
  // Every field was there, and nothing else.
  bool done() const { return ok_ && rest_.empty(); }
  bool ok() const { return ok_; }

 private:
  std::string_view take(size_t count) {
    ok_ = ok_ && count <= rest_.size();
    if (!ok_) return {};
    std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }

  std::string_view rest_;
  bool ok_ = true;
};

template <typename Number>
void append_number(std::string& out, Number value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}
inline void append_text(std::string& out, std::string_view text) {
  append_number(out, static_cast<uint32_t>(text.size()));
  out += text;
}

}  // namespace plybox::tree

#include "common/base64.h"

#include <doctest/doctest.h>

#include <string>

using namespace plybox;

TEST_CASE("base64 carries any bytes of any length") {
  std::string bytes;
  for (int i = 0; i < 256; i++) {
    CHECK(from_base64(to_base64(bytes)) == bytes);
    bytes += static_cast<char>(i);
  }
  CHECK(to_base64("light w") == "bGlnaHQgdw==");
  CHECK(from_base64("bGlnaHQgd28=") == "light wo");
}

TEST_CASE("text that is not base64 is refused, whatever byte makes it so") {
  for (const char* text : {"A", "AA", "AAA", "AAAAA", "=", "====", "A===", "AA=A", "AB==", "AAB="}) {
    CAPTURE(text);
    CHECK_FALSE(from_base64(text).has_value());
  }
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int byte = 0; byte < 256; byte++) {
    char character = static_cast<char>(byte);
    bool is_digit = digits.find(character) != digits.npos;
    CAPTURE(byte);
    CHECK(from_base64(std::string("AA") + character + "A").has_value() == is_digit);
  }
}

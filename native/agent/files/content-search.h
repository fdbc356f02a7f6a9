// Finds the lines of a text that a pattern matches.
#pragma once
#include <regex.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "agent/files/outcome.h"

namespace plybox {

struct Match {
  uint64_t line;          // from 1
  uint64_t column;        // in bytes, from 1
  std::string_view text;  // of the line, as much as is looked at together
  size_t start;           // of the match in `text`
  size_t length;
};

class Pattern {
 public:
  // A plain text, or an extended regular expression of POSIX; both by bytes.
  static Outcome<std::unique_ptr<Pattern>> make(const std::string& text, bool regex, bool ignore_case);
  ~Pattern();

  // The first match in `line`, which is followed by a NUL byte.
  bool find(std::string_view line, size_t& start, size_t& length) const;
  // Of a plain text that minds case: where it is in many lines at once, to pass over those without it.
  bool quick() const { return !regex_ && !ignore_case_; }
  const std::string& text() const { return text_; }

 private:
  Pattern() = default;

  std::string text_;
  bool regex_ = false;
  bool ignore_case_ = false;
  regex_t compiled_;
};

class ContentSearch {
 public:
  using Take = std::function<bool(const Match&)>;

  explicit ContentSearch(const Pattern& pattern);
  // Goes through the file's lines; each that matches is handed on once. Stops where `take` answers false. `breathe` is
  // called for each piece. Files with a NUL in their first 8 KiB have no lines.
  Outcome<> run(int file, uint64_t size, const Take& take, const std::function<void()>& breathe);

 private:
  void take_lines(const Take& take);
  void take_line(size_t start, size_t end, const Take& take);
  size_t pass_over(size_t start);

  const Pattern& pattern_;
  std::unique_ptr<char[]> buffer_;
  size_t filled_ = 0;
  uint64_t line_ = 1;
  uint64_t taken_line_ = 0;
  uint64_t passed_ = 0;  // of the line at the buffer's start, bytes that are gone
  bool wanted_ = true;
};

}  // namespace plybox

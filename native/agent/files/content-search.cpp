#include "agent/files/content-search.h"

#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace plybox {
namespace {

// A line that is longer is looked at in pieces of this size.
constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kBinaryBytes = 8192;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

class Scan {
 public:
  Scan(const Pattern& pattern, const std::function<bool(const Match&)>& take) : pattern_(pattern), take_(take) {
    buffer_.reserve(kPieceBytes + 1);
  }

  Outcome<> run(int file, uint64_t size, const std::function<void()>& breathe) {
    for (uint64_t offset = 0; offset < size && wanted_;) {
      breathe();
      size_t kept = buffer_.size();
      buffer_.resize(kPieceBytes);
      ssize_t count = pread(file, buffer_.data() + kept, kPieceBytes - kept, static_cast<off_t>(offset));
      if (count < 0 && errno != EINTR) return failed("read");
      buffer_.resize(kept + static_cast<size_t>(std::max<ssize_t>(count, 0)));
      if (count == 0) break;
      if (offset == 0 && memchr(buffer_.data(), '\0', std::min(buffer_.size(), kBinaryBytes)) != nullptr) return {};
      if (count > 0) offset += static_cast<uint64_t>(count);
      take_lines(false);
    }
    if (wanted_) take_lines(true);
    return {};
  }

 private:
  void take_lines(bool last) {
    size_t start = 0;
    while (start < buffer_.size() && wanted_) {
      if (pattern_.quick()) start = pass_over(start);
      size_t newline = buffer_.find('\n', start);
      if (newline == buffer_.npos) break;
      take_line(start, newline);
      line_++;
      passed_ = 0;
      start = newline + 1;
    }
    buffer_.erase(0, start);
    if (buffer_.empty() || !wanted_) return;
    if (last) {
      take_line(0, buffer_.size());
    } else if (buffer_.size() >= kPieceBytes) {
      // Of a line longer than the buffer: keeps what a match could begin in.
      take_line(0, buffer_.size());
      size_t done = buffer_.size() - (pattern_.text().size() - 1);
      passed_ += done;
      buffer_.erase(0, done);
    }
  }

  // The start of the first line that may match, or of the last, which is not whole.
  size_t pass_over(size_t start) {
    const std::string& text = pattern_.text();
    const void* found = memmem(buffer_.data() + start, buffer_.size() - start, text.data(), text.size());
    size_t limit =
        found != nullptr ? static_cast<size_t>(static_cast<const char*>(found) - buffer_.data()) : buffer_.size();
    size_t newline = limit > start ? buffer_.rfind('\n', limit - 1) : buffer_.npos;
    if (newline == buffer_.npos || newline < start) return start;
    line_ += static_cast<uint64_t>(std::count(buffer_.begin() + static_cast<ptrdiff_t>(start),
                                              buffer_.begin() + static_cast<ptrdiff_t>(newline) + 1, '\n'));
    passed_ = 0;
    return newline + 1;
  }

  void take_line(size_t start, size_t end) {
    // One answer a line, however many pieces it has.
    if (line_ == taken_line_) return;
    char after = buffer_[end];
    buffer_[end] = '\0';
    std::string_view line(buffer_.data() + start, end - start);
    Match match{line_, 0, line, 0, 0};
    if (pattern_.find(line, match.start, match.length)) {
      taken_line_ = line_;
      match.column = passed_ + match.start + 1;
      wanted_ = take_(match);
    }
    buffer_[end] = after;
  }

  const Pattern& pattern_;
  const std::function<bool(const Match&)>& take_;
  std::string buffer_;
  uint64_t line_ = 1;
  uint64_t taken_line_ = 0;
  uint64_t passed_ = 0;  // of the line at the buffer's start, bytes that are gone
  bool wanted_ = true;
};

}  // namespace

Outcome<std::unique_ptr<Pattern>> Pattern::make(const std::string& text, bool regex, bool ignore_case) {
  if (text.find('\n') != text.npos) {
    return Refusal{"bad-pattern", "content holds a newline: matches are within a line", "content"};
  }
  std::unique_ptr<Pattern> pattern(new Pattern);
  pattern->text_ = text;
  pattern->ignore_case_ = ignore_case;
  if (regex) {
    int problem = regcomp(&pattern->compiled_, text.c_str(), REG_EXTENDED | (ignore_case ? REG_ICASE : 0));
    if (problem != 0) {
      char message[128];
      regerror(problem, &pattern->compiled_, message, sizeof(message));
      return Refusal{"bad-pattern", std::string("content is no regular expression: ") + message, "content"};
    }
    pattern->regex_ = true;
  } else if (ignore_case) {
    std::transform(text.begin(), text.end(), pattern->text_.begin(), lower);
  }
  return pattern;
}

Pattern::~Pattern() {
  if (regex_) regfree(&compiled_);
}

bool Pattern::find(std::string_view line, size_t& start, size_t& length) const {
  if (regex_) {
    regmatch_t match;
    if (regexec(&compiled_, line.data(), 1, &match, 0) != 0) return false;
    start = static_cast<size_t>(match.rm_so);
    length = static_cast<size_t>(match.rm_eo - match.rm_so);
    return true;
  }
  length = text_.size();
  if (!ignore_case_) {
    start = line.find(text_);
    return start != line.npos;
  }
  auto found =
      std::search(line.begin(), line.end(), text_.begin(), text_.end(), [](char a, char b) { return lower(a) == b; });
  start = static_cast<size_t>(found - line.begin());
  return found != line.end();
}

Outcome<> search_content(int file, uint64_t size, const Pattern& pattern, const std::function<bool(const Match&)>& take,
                         const std::function<void()>& breathe) {
  return Scan(pattern, take).run(file, size, breathe);
}

}  // namespace plybox

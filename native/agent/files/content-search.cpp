#include "agent/files/content-search.h"

#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace plybox {
namespace {

// A line that is longer is looked at in pieces of this size.
constexpr size_t kPieceBytes = 1 << 20;
constexpr size_t kBinaryBytes = 8192;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

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

ContentSearch::ContentSearch(const Pattern& pattern) : pattern_(pattern), buffer_(new char[kPieceBytes + 1]) {}

Outcome<> ContentSearch::run(int file, uint64_t size, const Take& take, const std::function<void()>& breathe) {
  filled_ = passed_ = 0;
  line_ = 1;
  taken_line_ = 0;
  wanted_ = true;
  for (uint64_t offset = 0; offset < size && wanted_;) {
    breathe();
    size_t want = static_cast<size_t>(std::min<uint64_t>(kPieceBytes - filled_, size - offset));
    ssize_t count = pread(file, buffer_.get() + filled_, want, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failed("read");
    if (count == 0) break;
    filled_ += static_cast<size_t>(count);
    if (offset == 0 && memchr(buffer_.get(), '\0', std::min(filled_, kBinaryBytes)) != nullptr) return {};
    offset += static_cast<uint64_t>(count);
    take_lines(take);
  }
  if (wanted_ && filled_ > 0) take_line(0, filled_, take);
  return {};
}

// The lines that are whole; the rest moves to the buffer's start.
void ContentSearch::take_lines(const Take& take) {
  size_t start = 0;
  while (start < filled_ && wanted_) {
    if (pattern_.quick()) start = pass_over(start);
    const void* newline = memchr(buffer_.get() + start, '\n', filled_ - start);
    if (newline == nullptr) break;
    auto end = static_cast<size_t>(static_cast<const char*>(newline) - buffer_.get());
    take_line(start, end, take);
    line_++;
    passed_ = 0;
    start = end + 1;
  }
  if (start == 0 && filled_ == kPieceBytes && wanted_) {
    // Of a line longer than the buffer: what a match could begin in is looked at again.
    take_line(0, filled_, take);
    start = filled_ - (pattern_.text().size() - 1);
    passed_ += start;
  }
  filled_ -= start;
  std::memmove(buffer_.get(), buffer_.get() + start, filled_);
}

// The start of the first line that may match, or of the last, which is not whole.
size_t ContentSearch::pass_over(size_t start) {
  const std::string& text = pattern_.text();
  const char* from = buffer_.get() + start;
  const void* found = memmem(from, filled_ - start, text.data(), text.size());
  size_t limit = found != nullptr ? static_cast<size_t>(static_cast<const char*>(found) - from) : filled_ - start;
  const void* newline = memrchr(from, '\n', limit);
  if (newline == nullptr) return start;
  const char* next = static_cast<const char*>(newline) + 1;
  line_ += static_cast<uint64_t>(std::count(from, next, '\n'));
  passed_ = 0;
  return static_cast<size_t>(next - buffer_.get());
}

void ContentSearch::take_line(size_t start, size_t end, const Take& take) {
  // One answer a line, however many pieces it has.
  if (line_ == taken_line_) return;
  char after = std::exchange(buffer_[end], '\0');
  Match match{line_, 0, {buffer_.get() + start, end - start}, 0, 0};
  if (pattern_.find(match.text, match.start, match.length)) {
    taken_line_ = line_;
    match.column = passed_ + match.start + 1;
    wanted_ = take(match);
  }
  buffer_[end] = after;
}

}  // namespace plybox

#include "agent/files/tar-reader.h"

#include <algorithm>
#include <charconv>
#include <limits>

namespace plybox {
namespace {

// More than any name or any set of attributes that a kernel keeps.
constexpr uint64_t kMaxExtension = 1 << 20;
constexpr uint64_t kMaxContent = std::numeric_limits<int64_t>::max() - 1024;

Refusal bad(std::string message) { return {"bad-archive", std::move(message)}; }

std::string_view text_field(std::string_view block, size_t at, size_t size) {
  std::string_view field = block.substr(at, size);
  return field.substr(0, field.find('\0'));
}

// Octal digits between blanks, or GNU's base-256, whose first bit is set. Nothing for anything else.
std::optional<uint64_t> number_field(std::string_view field) {
  if ((field[0] & 0x80) != 0) {
    // Negative ones are for times alone.
    if ((field[0] & 0x7f) != 0) return std::nullopt;
    uint64_t value = 0;
    for (char c : field.substr(1)) {
      if (value >> 55 != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(c);
    }
    return value;
  }
  size_t start = std::min(field.find_first_not_of(' '), field.size());
  size_t end = std::min(field.find_first_of(std::string_view(" \0", 2), start), field.size());
  if (start == end) return 0;
  if (field.find_first_not_of(std::string_view(" \0", 2), end) != field.npos) return std::nullopt;
  uint64_t value = 0;
  auto [stop, error] = std::from_chars(field.data() + start, field.data() + end, value, 8);
  if (error != std::errc() || stop != field.data() + end) return std::nullopt;
  return value;
}

// Seconds since 1970, which GNU writes as a negative number where it was before.
time_t time_field(std::string_view field) {
  if (static_cast<unsigned char>(field[0]) != 0xff) {
    return static_cast<time_t>(std::min(number_field(field).value_or(0), kMaxContent));
  }
  uint64_t value = UINT64_MAX;
  for (char c : field.substr(1)) value = value << 8 | static_cast<unsigned char>(c);
  return static_cast<time_t>(value);
}

// The checksum's own field counts as blanks. Some old programs added signed bytes.
bool sums_up(std::string_view block) {
  std::optional<uint64_t> stated = number_field(block.substr(148, 8));
  if (!stated) return false;
  int64_t of_unsigned = 0, of_signed = 0;
  for (size_t i = 0; i < block.size(); i++) {
    char c = i >= 148 && i < 156 ? ' ' : block[i];
    of_unsigned += static_cast<unsigned char>(c);
    of_signed += static_cast<signed char>(c);
  }
  auto sum = static_cast<int64_t>(*stated);
  return sum == of_unsigned || sum == of_signed;
}

std::optional<uint64_t> decimal(std::string_view text) {
  uint64_t value = 0;
  auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// Seconds since 1970 with a decimal fraction.
std::optional<timespec> time_value(std::string_view text) {
  bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  size_t dot = std::min(text.find('.'), text.size());
  std::optional<uint64_t> seconds = decimal(text.substr(0, dot));
  // Far enough, and safe to negate.
  if (!seconds || *seconds > uint64_t{1} << 40) return std::nullopt;
  long nanoseconds = 0;
  for (size_t i = 0; i < 9; i++) {
    char digit = dot + 1 + i < text.size() ? text[dot + 1 + i] : '0';
    if (digit < '0' || digit > '9') return std::nullopt;
    nanoseconds = nanoseconds * 10 + (digit - '0');
  }
  auto whole = static_cast<int64_t>(*seconds);
  if (!negative) return timespec{whole, nanoseconds};
  return nanoseconds == 0 ? timespec{-whole, 0} : timespec{-whole - 1, 1000000000 - nanoseconds};
}

mode_t type_of(char flag, std::string_view path) {
  switch (flag) {
    case '2':
      return S_IFLNK;
    case '3':
      return S_IFCHR;
    case '4':
      return S_IFBLK;
    case '5':
      return S_IFDIR;
    case '6':
      return S_IFIFO;
    default:
      // Before ustar a directory was a name with a slash behind it.
      return flag != '1' && path.ends_with('/') ? S_IFDIR : S_IFREG;
  }
}

}  // namespace

Outcome<> TarReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    switch (state_) {
      case State::kOver:
        return {};
      case State::kHeader:
      case State::kExtension: {
        size_t wanted = state_ == State::kHeader ? kTarBlock : static_cast<size_t>(extension_bytes_);
        size_t taken = std::min(wanted - held_.size(), bytes.size());
        held_.append(bytes.substr(0, taken));
        bytes.remove_prefix(taken);
        if (held_.size() < wanted) return {};
        Outcome<> done = state_ == State::kHeader ? take_header(held_) : take_extension();
        held_.clear();
        if (!done) return done;
        break;
      }
      case State::kContent: {
        size_t taken = static_cast<size_t>(std::min<uint64_t>(remaining_, bytes.size()));
        if (Outcome<> done = sink_.content(bytes.substr(0, taken)); !done) return done;
        bytes.remove_prefix(taken);
        remaining_ -= taken;
        if (remaining_ > 0) break;
        if (Outcome<> done = end_content(); !done) return done;
        break;
      }
      case State::kPadding: {
        size_t taken = static_cast<size_t>(std::min<uint64_t>(remaining_, bytes.size()));
        bytes.remove_prefix(taken);
        remaining_ -= taken;
        if (remaining_ == 0) state_ = State::kHeader;
        break;
      }
    }
  }
  return {};
}

Outcome<> TarReader::finish() {
  bool whole = state_ == State::kOver || (state_ == State::kHeader && held_.empty());
  // A last block may lack what fills it up.
  if (state_ == State::kPadding) whole = true;
  if (!whole) return bad("the archive ends in the middle of an entry");
  return {};
}

void TarReader::begin_padding(uint64_t size) {
  remaining_ = tar_padding(size);
  state_ = remaining_ > 0 ? State::kPadding : State::kHeader;
}

Outcome<> TarReader::take_header(std::string_view block) {
  if (block.find_first_not_of('\0') == block.npos) {
    if (++zero_blocks_ == 2) state_ = State::kOver;
    return {};
  }
  zero_blocks_ = 0;
  if (!sums_up(block)) return bad("a header's checksum is wrong");
  char flag = block[156];
  if (flag != 'x' && flag != 'g' && flag != 'L' && flag != 'K') return take_entry(block);
  std::optional<uint64_t> size = number_field(block.substr(124, 12));
  if (!size || *size > kMaxExtension) return bad("an extended header is too long");
  extension_type_ = flag;
  extension_bytes_ = *size + tar_padding(*size);
  extension_size_ = *size;
  if (*size == 0) return flag == 'x' || flag == 'g' ? Outcome<>() : bad("a long name is empty");
  state_ = State::kExtension;
  return {};
}

Outcome<> TarReader::take_extension() {
  std::string_view text = std::string_view(held_).substr(0, static_cast<size_t>(extension_size_));
  state_ = State::kHeader;
  switch (extension_type_) {
    case 'x':
      return read_records(text, next_);
    case 'g':
      return read_records(text, global_);
    default:
      text = text.substr(0, text.find('\0'));
      if (text.empty()) return bad("a long name is empty");
      (extension_type_ == 'L' ? next_.path : next_.link) = std::string(text);
      return {};
  }
}

// "LENGTH KEY=VALUE\n", where the length counts all of it.
Outcome<> TarReader::read_records(std::string_view records, Override& override) {
  while (!records.empty()) {
    size_t blank = records.find(' ');
    std::optional<uint64_t> length = blank == records.npos ? std::nullopt : decimal(records.substr(0, blank));
    if (!length || *length <= blank + 1 || *length > records.size() || records[*length - 1] != '\n') {
      return bad("an extended header has a record of the wrong length");
    }
    std::string_view record = records.substr(blank + 1, static_cast<size_t>(*length) - blank - 2);
    size_t equals = record.find('=');
    if (equals == record.npos || equals == 0) return bad("an extended header has a record without a name");
    Outcome<> taken = take_record(record.substr(0, equals), record.substr(equals + 1), override);
    if (!taken) return taken;
    records.remove_prefix(static_cast<size_t>(*length));
  }
  return {};
}

Outcome<> TarReader::take_record(std::string_view key, std::string_view value, Override& override) {
  constexpr std::string_view kAttribute = "SCHILY.xattr.";
  auto number = [&](std::optional<uint64_t>& to) {
    to = decimal(value);
    return to ? Outcome<>() : bad("an extended header has a number that is none");
  };
  if (key.starts_with("GNU.sparse.")) return bad("sparse files are not unpacked");
  if (key == "path" || key == "linkpath") {
    if (value.find('\0') != value.npos) return bad("a name holds a NUL byte");
    (key == "path" ? override.path : override.link) = std::string(value);
  } else if (key == "size") {
    return number(override.size);
  } else if (key == "uid") {
    return number(override.uid);
  } else if (key == "gid") {
    return number(override.gid);
  } else if (key == "mtime") {
    override.modified = time_value(value);
    if (!override.modified) return bad("an extended header has a time that is none");
  } else if (key.starts_with(kAttribute) && key.find('\0') == key.npos) {
    override.attributes.emplace_back(key.substr(kAttribute.size()), value);
  }
  return {};
}

Outcome<> TarReader::take_entry(std::string_view block) {
  Override override = std::move(next_);
  next_ = {};
  char flag = block[156];
  // A volume's label is no file.
  if (flag == 'V') return {};
  if (flag == '\0' || flag == '7') flag = '0';
  if (flag < '0' || flag > '6') return bad("an entry is of a kind that is not unpacked");

  TarEntry entry;
  // GNU's own format, "ustar " with a blank, keeps other things where the prefix stands.
  std::string_view prefix = block.substr(257, 6) == std::string_view("ustar\0", 6) ? text_field(block, 345, 155) : "";
  std::string_view name = text_field(block, 0, 100);
  entry.path = prefix.empty() ? std::string(name) : std::string(prefix) + "/" + std::string(name);
  entry.link = text_field(block, 157, 100);
  auto settle = [&](auto& to, const auto& own, const auto& common) {
    if (own) {
      to = *own;
    } else if (common) {
      to = *common;
    }
  };
  settle(entry.path, override.path, global_.path);
  settle(entry.link, override.link, global_.link);
  entry.type = type_of(flag, entry.path);
  entry.hard_link = flag == '1';

  std::optional<uint64_t> mode = number_field(block.substr(100, 8)), uid = number_field(block.substr(108, 8)),
                          gid = number_field(block.substr(116, 8)), size = number_field(block.substr(124, 12)),
                          major = number_field(block.substr(329, 8)), minor = number_field(block.substr(337, 8));
  if (override.uid || global_.uid) uid = override.uid ? override.uid : global_.uid;
  if (override.gid || global_.gid) gid = override.gid ? override.gid : global_.gid;
  if (override.size || global_.size) size = override.size ? override.size : global_.size;
  if (!mode || !uid || !gid || !size || *size > kMaxContent) return bad("a header has a number that is none");
  // 2^32-1 is no id: to the kernel it means "leave it".
  if (*uid >= UINT32_MAX || *gid >= UINT32_MAX) return bad("an owner is no id");
  entry.mode = static_cast<mode_t>(*mode & 07777);
  entry.uid = static_cast<uid_t>(*uid);
  entry.gid = static_cast<gid_t>(*gid);
  // Some programs state the size of what a link leads to; content has a regular file alone.
  entry.size = entry.type == S_IFREG && !entry.hard_link ? *size : 0;
  if (entry.type == S_IFCHR || entry.type == S_IFBLK) {
    if (!major || !minor || *major > UINT32_MAX || *minor > UINT32_MAX) return bad("a device has no number");
    entry.major = static_cast<unsigned>(*major);
    entry.minor = static_cast<unsigned>(*minor);
  }
  entry.modified.tv_sec = time_field(block.substr(136, 12));
  settle(entry.modified, override.modified, global_.modified);
  entry.attributes = std::move(override.attributes);

  entries_++;
  remaining_ = entry.size;
  if (Outcome<> begun = sink_.begin(entry); !begun) return begun;
  content_bytes_ = entry.size;
  if (remaining_ == 0) return end_content();
  state_ = State::kContent;
  return {};
}

Outcome<> TarReader::end_content() {
  begin_padding(content_bytes_);
  return sink_.end();
}

}  // namespace plybox

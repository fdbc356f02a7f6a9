#include "agent/files/tar-format.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "common/json.h"

namespace plybox {
namespace {

struct UstarHeader {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
  char magic[8], user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};
static_assert(sizeof(UstarHeader) == kTarBlock);

// The length counts itself.
void add_record(std::string& records, std::string_view key, std::string_view value) {
  size_t rest = key.size() + value.size() + 3;
  size_t length = rest + std::to_string(rest).size();
  if (std::to_string(length).size() > std::to_string(rest).size()) length = rest + std::to_string(length).size();
  records.append(std::to_string(length)).append(" ").append(key).append("=").append(value).append("\n");
}

// Answers whether the number fits, with a NUL behind its digits.
template <size_t kSize>
bool put_octal(char (&field)[kSize], uint64_t value) {
  // By hand: an archive of small files is mostly headers.
  bool fits = value >> (3 * (kSize - 1)) == 0;
  if (!fits) value = 0;
  for (size_t i = kSize - 1; i-- > 0; value >>= 3) field[i] = static_cast<char>('0' + (value & 7));
  return fits;
}

template <size_t kSize>
void put_text(char (&field)[kSize], std::string_view text) {
  std::memcpy(field, text.data(), std::min(kSize, text.size()));
}

bool is_ascii(std::string_view text) {
  return text.find_first_of(std::string_view("\0", 1)) == text.npos &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

// Whole, or as prefix and name parted at a slash.
bool put_path(UstarHeader& header, std::string_view path) {
  if (path.size() <= sizeof(header.name)) {
    put_text(header.name, path);
    return true;
  }
  size_t slash = path.rfind('/', sizeof(header.prefix));
  if (slash == path.npos || slash == 0) return false;
  std::string_view name = path.substr(slash + 1);
  if (name.empty() || name.size() > sizeof(header.name)) return false;
  put_text(header.prefix, path.substr(0, slash));
  put_text(header.name, name);
  return true;
}

char type_flag(const TarEntry& entry) {
  if (entry.hard_link) return '1';
  switch (entry.type) {
    case S_IFLNK:
      return '2';
    case S_IFCHR:
      return '3';
    case S_IFBLK:
      return '4';
    case S_IFDIR:
      return '5';
    case S_IFIFO:
      return '6';
    default:
      return '0';
  }
}

void finish(UstarHeader& header, char type) {
  header.type = type;
  std::memcpy(header.magic, "ustar\00000", sizeof(header.magic));
  std::memset(header.checksum, ' ', sizeof(header.checksum));
  unsigned sum = 0;
  for (size_t i = 0; i < sizeof(header); i++) sum += reinterpret_cast<const unsigned char*>(&header)[i];
  std::snprintf(header.checksum, sizeof(header.checksum), "%06o", sum & 0777777);
  header.checksum[7] = ' ';
}

std::string_view bytes_of(const UstarHeader& header) {
  return {reinterpret_cast<const char*>(&header), sizeof(header)};
}

// Seconds with nine decimals; POSIX wants a true decimal fraction below zero too.
std::string time_text(const timespec& time) {
  int64_t seconds = time.tv_sec, nanoseconds = time.tv_nsec;
  bool negative = seconds < 0;
  if (negative) {
    // The kernel counts nanoseconds upwards from the second below.
    seconds = -seconds - (nanoseconds > 0 ? 1 : 0);
    nanoseconds = nanoseconds > 0 ? 1000000000 - nanoseconds : 0;
  }
  std::string fraction = std::to_string(1000000000 + nanoseconds).substr(1);
  return (negative ? "-" : "") + std::to_string(seconds) + "." + fraction;
}

std::string pax_header(const std::string& records) {
  UstarHeader header{};
  put_text(header.name, "././@PaxHeader");
  put_octal(header.mode, 0644);
  put_octal(header.uid, 0);
  put_octal(header.gid, 0);
  put_octal(header.size, records.size());
  put_octal(header.mtime, 0);
  finish(header, 'x');
  std::string blocks(bytes_of(header));
  blocks += records;
  blocks.append(tar_padding(records.size()), '\0');
  return blocks;
}

}  // namespace

size_t tar_padding(uint64_t size) { return (kTarBlock - size % kTarBlock) % kTarBlock; }

std::string tar_header(const TarEntry& entry) {
  UstarHeader header{};
  std::string path = entry.path;
  if (entry.type == S_IFDIR && !path.ends_with('/')) path += '/';
  std::string records;
  bool path_fits = put_path(header, path) && is_ascii(path);
  bool link_fits = entry.link.size() <= sizeof(header.link) && is_ascii(entry.link);
  put_text(header.link, entry.link);
  // Names are UTF-8 in pax records unless they say that they are not.
  if ((!path_fits && !is_utf8(path)) || (!link_fits && !is_utf8(entry.link))) {
    add_record(records, "hdrcharset", "BINARY");
  }
  if (!path_fits) add_record(records, "path", path);
  if (!link_fits) add_record(records, "linkpath", entry.link);
  put_octal(header.mode, entry.mode & 07777);
  if (!put_octal(header.uid, entry.uid)) add_record(records, "uid", std::to_string(entry.uid));
  if (!put_octal(header.gid, entry.gid)) add_record(records, "gid", std::to_string(entry.gid));
  if (!put_octal(header.size, entry.size)) add_record(records, "size", std::to_string(entry.size));
  bool whole = entry.modified.tv_sec >= 0 && entry.modified.tv_nsec == 0;
  bool fits = put_octal(header.mtime, entry.modified.tv_sec >= 0 ? static_cast<uint64_t>(entry.modified.tv_sec) : 0);
  if (!whole || !fits) add_record(records, "mtime", time_text(entry.modified));
  put_octal(header.major, entry.major);
  put_octal(header.minor, entry.minor);
  for (const auto& [name, value] : entry.attributes) add_record(records, "SCHILY.xattr." + name, value);
  finish(header, type_flag(entry));
  std::string blocks = records.empty() ? std::string() : pax_header(records);
  return blocks.append(bytes_of(header));
}

}  // namespace plybox

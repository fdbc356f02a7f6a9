#include "tree/listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "tree/entry.h"
#include "tree/wire.h"

namespace plybox::tree {
namespace {

// An answer is complete once it has so many bytes.
constexpr size_t kPieceBytes = 131072;
// Of all names of a directory together.
constexpr size_t kMostNames = 1U << 30;

Result<std::string> read_names(int directory) {
  UniqueFd copy(fcntl(directory, F_DUPFD_CLOEXEC, 0));
  DIR* stream = copy ? fdopendir(copy.get()) : nullptr;
  if (stream == nullptr) return Failure::here("list");
  copy.release();
  std::string names;
  errno = 0;
  while (const dirent* entry = readdir(stream)) {
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
      names.append(entry->d_name, std::strlen(entry->d_name) + 1);
    if (names.size() > kMostNames) errno = EFBIG;
    if (errno != 0) break;
  }
  Failure failure = Failure::here("list");
  closedir(stream);
  if (failure.error != 0) return failure;
  return names;
}

std::vector<uint32_t> in_order(const std::string& names) {
  std::vector<uint32_t> starts;
  for (size_t at = 0; at < names.size(); at = names.find('\0', at) + 1) starts.push_back(static_cast<uint32_t>(at));
  std::sort(starts.begin(), starts.end(),
            [&](uint32_t a, uint32_t b) { return std::strcmp(&names[a], &names[b]) < 0; });
  return starts;
}

}  // namespace

Result<> Listings::begin(const Roots& roots, uint32_t root, const std::string& path, std::string& out) {
  Result<UniqueFd> directory = open_directory(roots, root, path);
  if (!directory) return directory.failure();
  Result<std::string> names = read_names(directory->get());
  if (!names) return names.failure();
  Listing listing{root, path, names.take(), {}};
  listing.order = in_order(listing.names);
  size_t at = out.size();
  append_number<uint32_t>(out, 0);
  if (Result<> told = tell(directory->get(), listing, out); !told) return told;
  if (listing.next == listing.order.size()) return {};
  auto place = std::find_if(listings_.begin(), listings_.end(), [](const auto& slot) { return !slot; });
  if (place == listings_.end()) place = listings_.emplace(place);
  *place = std::move(listing);
  auto number = static_cast<uint32_t>(place - listings_.begin() + 1);
  std::memcpy(&out[at], &number, sizeof(number));
  return {};
}

Result<> Listings::more(const Roots& roots, uint32_t number, std::string& out) {
  if (number == 0 || number > listings_.size() || !listings_[number - 1]) return Failure{"list", EBADF};
  Listing& listing = *listings_[number - 1];
  Result<UniqueFd> directory = open_directory(roots, listing.root, listing.path);
  if (!directory) return directory.failure();
  size_t at = out.size();
  append_number(out, number);
  if (Result<> told = tell(directory->get(), listing, out); !told) return told;
  if (listing.next < listing.order.size()) return {};
  std::memset(&out[at], 0, sizeof(number));
  drop(number);
  return {};
}

void Listings::drop(uint32_t number) {
  if (number > 0 && number <= listings_.size()) listings_[number - 1].reset();
}

Result<> Listings::tell(int directory, Listing& listing, std::string& out) const {
  for (size_t begin = out.size(); listing.next < listing.order.size() && out.size() - begin < kPieceBytes;) {
    const char* name = &listing.names[listing.order[listing.next++]];
    Result<Entry> entry = read_entry(directory, name, marks_);
    if (!entry) return entry.failure();
    append_entry(out, name, *entry);
  }
  return {};
}

}  // namespace plybox::tree

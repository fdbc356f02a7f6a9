// Takes an archive apart as its bytes come: ustar, pax, and GNU's long names and large numbers. The bytes are a
// stranger's: what is out of order is refused, and nothing is kept that is longer than it may be.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "agent/files/outcome.h"
#include "agent/files/tar-format.h"

namespace plybox {

class TarSink {
 public:
  virtual Outcome<> begin(const TarEntry& entry) = 0;
  // The next bytes of its content, in all as many as it said.
  virtual Outcome<> content(std::string_view bytes) = 0;
  virtual Outcome<> end() = 0;

 protected:
  ~TarSink() = default;
};

class TarReader {
 public:
  explicit TarReader(TarSink& sink) : sink_(sink) {}

  // The first refusal, its own ("bad-archive") or the sink's, is the last call.
  Outcome<> feed(std::string_view bytes);
  // No more bytes come.
  Outcome<> finish();
  uint64_t entries() const { return entries_; }

 private:
  enum class State { kHeader, kExtension, kContent, kPadding, kOver };
  // What pax and GNU headers say of entries behind them.
  struct Override {
    std::optional<std::string> path, link;
    std::optional<uint64_t> size, uid, gid;
    std::optional<timespec> modified;
    std::vector<std::pair<std::string, std::string>> attributes;
  };

  Outcome<> take_header(std::string_view block);
  Outcome<> take_extension();
  Outcome<> take_entry(std::string_view block);
  Outcome<> read_records(std::string_view records, Override& override);
  Outcome<> take_record(std::string_view key, std::string_view value, Override& override);
  void begin_padding(uint64_t size);
  Outcome<> end_content();

  TarSink& sink_;
  State state_ = State::kHeader;
  std::string held_;              // of a header block or an extension, as much as has come
  uint64_t remaining_ = 0;        // of content or padding
  uint64_t extension_bytes_ = 0;  // with what fills its last block up
  uint64_t extension_size_ = 0;
  uint64_t content_bytes_ = 0;
  char extension_type_ = 0;
  Override global_, next_;
  int zero_blocks_ = 0;
  uint64_t entries_ = 0;
};

}  // namespace plybox

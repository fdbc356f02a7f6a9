// Answers the requests that come to plytree; main.cpp tells what they are.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"
#include "tree/attributes.h"
#include "tree/change.h"
#include "tree/listing.h"
#include "tree/roots.h"
#include "tree/wire.h"

namespace plybox::tree {

constexpr uint32_t kMostRequest = 1048576;

enum class Operation : uint8_t {
  kOpen = 1,
  kOverlay,
  kEntry,
  kList,
  kMore,
  kDrop,
  kRead,
  kCopy,
  kStamp,
  kLink,
  kRemove,
  kWhiteout,
  kOpaque,
  kSync,
  kSurvey,
  kShared,
};

class Server {
 public:
  explicit Server(Marks marks) : marks_(marks), listings_(marks) {}

  // Appends what is answered; nothing when the request cannot be read.
  bool answer(std::string_view request, std::string& out);

 private:
  Result<> serve(Operation operation, Fields& fields, std::string& out);
  Result<> change(Operation operation, Fields& fields);
  Result<> open_root(Fields& fields, std::string& out);
  Result<> overlay(Fields& fields, std::string& out);
  Result<> entry(const Place& place, Fields& fields, std::string& out);
  Result<> shared(Fields& fields, std::string& out);
  Result<> survey_root(Fields& fields, std::string& out);
  Result<> read(const Place& place, Fields& fields, std::string& out);
  static Place place(Fields& fields);
  static bool complete(const Fields& fields);
  Failure unreadable();

  Marks marks_;
  Roots roots_;
  Listings listings_;
  bool readable_ = true;
};

}  // namespace plybox::tree

#include "launcher/landlock.h"

#include <errno.h>

#include "common/syscalls.h"
#include "common/unique-fd.h"

namespace plybox {
namespace {

// The interface of the kernel, which older <linux/landlock.h> have only in part.
constexpr long kCreateRuleset = 444;
constexpr long kAddRule = 445;
constexpr long kRestrictSelf = 446;
constexpr unsigned kAskVersion = 1;
constexpr unsigned kRuleBelow = 1;

struct Ruleset {
  uint64_t files;
  uint64_t network;
  uint64_t scopes;
};
struct [[gnu::packed]] Rule {
  uint64_t allowed;
  int32_t below;
};

constexpr uint64_t kExecute = 1 << 0;
constexpr uint64_t kWriteFile = 1 << 1;
constexpr uint64_t kReadFile = 1 << 2;
constexpr uint64_t kReadDirectory = 1 << 3;
constexpr uint64_t kRemoveDirectory = 1 << 4;
constexpr uint64_t kMakeCharacterDevice = 1 << 6;
constexpr uint64_t kMakeDirectory = 1 << 7;
constexpr uint64_t kMakeBlockDevice = 1 << 11;
constexpr uint64_t kEveryChange = 0x3ff2;  // from kWriteFile to REFER, but for the reading ones
constexpr uint64_t kTruncate = 1 << 14;
constexpr uint64_t kControlDevice = 1 << 15;

constexpr uint64_t kNeverInside = kMakeCharacterDevice | kMakeBlockDevice;
constexpr uint64_t kOfCgroups = kReadFile | kReadDirectory | kWriteFile | kTruncate | kMakeDirectory | kRemoveDirectory;

constexpr uint64_t kScopeAbstractSockets = 1 << 0;
constexpr uint64_t kScopeSignals = 1 << 1;

struct Right {
  uint64_t bits;
  int since;  // the version that knows it
};
// Truncating is looked at in every open, also one that reads: it counts among what `writes` leaves alone.
constexpr Right kRestrictedByAll[] = {
    {kEveryChange | kExecute | kReadFile | kReadDirectory, 1}, {kTruncate, 3}, {kControlDevice, 5}};
constexpr int kScopesSince = 6;

uint64_t restricted(LandlockPlan plan, int version) {
  if (plan == LandlockPlan::kWrites) return kEveryChange;
  uint64_t bits = 0;
  for (const Right& right : kRestrictedByAll)
    if (version >= right.since) bits |= right.bits;
  return bits;
}

Result<> allow(int ruleset, int below, uint64_t rights) {
  Rule rule{rights, below};
  if (syscall(kAddRule, ruleset, kRuleBelow, &rule, 0) != 0) return Failure::here("landlock");
  return {};
}

}  // namespace

int landlock_version() {
  long version = syscall(kCreateRuleset, nullptr, 0, kAskVersion);
  return version < 2 ? 0 : static_cast<int>(version);
}

Result<> fence_in(LandlockPlan plan, std::initializer_list<FencePlace> places) {
  int version = landlock_version();
  if (plan == LandlockPlan::kOff || version == 0) return {};
  uint64_t files = restricted(plan, version);
  // Both are kept apart by namespaces already.
  uint64_t scopes = version >= kScopesSince ? kScopeAbstractSockets | kScopeSignals : 0;
  Ruleset attributes{files, 0, scopes};
  // A kernel that does not know the later members takes the structure without them.
  size_t size = scopes != 0 ? sizeof(attributes) : sizeof(attributes.files);
  UniqueFd ruleset(static_cast<int>(syscall(kCreateRuleset, &attributes, size, 0)));
  if (!ruleset) return Failure::here("landlock");
  for (const FencePlace& place : places) {
    if (place.directory < 0) continue;
    uint64_t rights = files & (place.kind == FencePlace::Kind::kCgroup ? kOfCgroups : ~kNeverInside);
    if (Result<> allowed = allow(ruleset.get(), place.directory, rights); !allowed) return allowed;
  }
  if (syscall(kRestrictSelf, ruleset.get(), 0) != 0) return Failure::here("landlock");
  return {};
}

}  // namespace plybox

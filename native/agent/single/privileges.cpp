#include "agent/single/privileges.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace plybox::single {
namespace {

constexpr uint64_t bit(int capability) { return 1ull << capability; }
constexpr uint64_t kKept = bit(CAP_SETUID) | bit(CAP_SETGID) | bit(CAP_KILL) | bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE);

Result<> keep(uint64_t wanted) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failure::here("no-new-privs");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2]{};
  if (syscall(SYS_capget, &header, sets) != 0) return Failure::here("capabilities");
  bool can_bound = (sets[0].effective & bit(CAP_SETPCAP)) != 0;
  for (int capability = 0; can_bound && prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
    if ((wanted & bit(capability)) == 0 && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
      return Failure::here("bounding-set");
  }
  for (int i = 0; i < 2; i++) {
    sets[i].permitted &= static_cast<uint32_t>(wanted >> (32 * i));
    sets[i].effective = sets[i].permitted;
    sets[i].inheritable = 0;
  }
  if (syscall(SYS_capset, &header, sets) != 0) return Failure::here("capabilities");
  return {};
}

}  // namespace

Result<> drop_privileges() { return keep(kKept); }
Result<> drop_all_privileges() { return keep(0); }

}  // namespace plybox::single

// The environment of a command: docs/protocol.md §6.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/users.h"

namespace plybox {

using Variables = std::vector<std::pair<std::string_view, std::string_view>>;

// `NAME=value` entries sorted by name: the defaults for `account`, overridden by `sandbox` (the agent's own
// environment, a null-terminated array), overridden by `command`.
std::vector<std::string> build_environment(const Account& account, bool terminal, char* const* sandbox,
                                           const Variables& command);
// The value of `name` in such a list; "" where it is not there.
std::string_view environment_value(const std::vector<std::string>& environment, std::string_view name);

}  // namespace plybox

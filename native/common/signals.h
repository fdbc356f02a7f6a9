#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace plybox {

// Such as "SIGTERM"; "SIG40" for one of the real-time signals, which have no name.
std::string signal_name(int signal);
std::optional<int> signal_number(std::string_view name);

}  // namespace plybox

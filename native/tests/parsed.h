// What most of the code under test includes, for the Makefile to have it parsed once; nothing includes it by name.
#include <algorithm>
#include <charconv>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/json.h"

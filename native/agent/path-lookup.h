#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace plybox {

// The files to try, in order, for `program` under the search path `path`: the program itself where it holds a slash,
// otherwise one a directory. An empty directory is the working directory, as in every shell.
std::vector<std::string> program_candidates(std::string_view program, std::string_view path);

}  // namespace plybox

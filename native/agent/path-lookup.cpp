#include "agent/path-lookup.h"

#include <algorithm>

namespace plybox {

std::vector<std::string> program_candidates(std::string_view program, std::string_view path) {
  if (program.find('/') != program.npos) return {std::string(program)};
  std::vector<std::string> candidates;
  for (size_t start = 0; start <= path.size();) {
    size_t end = std::min(path.find(':', start), path.size());
    std::string_view directory = path.substr(start, end - start);
    std::string candidate(directory.empty() ? "." : directory);
    if (candidate.back() != '/') candidate += '/';
    candidates.push_back(candidate.append(program));
    start = end + 1;
  }
  return candidates;
}

}  // namespace plybox

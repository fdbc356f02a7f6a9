// Goes through a tree and tells its files as entries with their content: what an archive is made of.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "agent/files/outcome.h"
#include "agent/files/session.h"
#include "agent/files/tar-reader.h"

namespace plybox {

// Of the directory `top`, which can be read: itself as "." and all that is below it; of anything else itself, as
// `name`. Sockets are left out, and so is what one of the globs matches, by its name or its path below the top.
// `session` as in walk().
Outcome<> read_tree(Session* session, int place, const std::string& name, const std::vector<std::string>& exclude,
                    TarSink& sink);

}  // namespace plybox

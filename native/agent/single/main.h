#pragma once

namespace plybox::single {

// `plyagent --single …`, without the program's own name: docs/agent-single.md.
int run(int argc, char** argv);

}  // namespace plybox::single

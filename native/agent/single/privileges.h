#pragma once
#include "common/result.h"

namespace plybox::single {

// Of the agent, once it listens: keeps the few capabilities that a judge needs (to become another user, to end that
// user's processes, to own and remove their files), and nothing that it starts can gain any.
Result<> drop_privileges();
// Of a child: none at all are left.
Result<> drop_all_privileges();

}  // namespace plybox::single

// A small machine of one's own for a user without privileges: a user namespace in which the user is root, and a mount
// namespace that belongs to it. The daemon runs within, and finds there what root finds on a host, as far as the kernel
// gives it away (docs/decisions/0009).
#pragma once

namespace plybox {

// `plylaunch --own-namespace [OPTIONS] -- PROGRAM [ARGUMENT…]`: becomes PROGRAM as root of such a namespace. `argv`
// begins behind `--own-namespace`. Returns only by failing: the exit code.
//
// --subuids FIRST:COUNT, --subgids FIRST:COUNT
//     what is mapped to 1 and upwards, by the programs named next; without them root is the only id there is.
// --newuidmap FILE, --newgidmap FILE
// --anchor FILE
//     the namespaces are those that FILE names where they are still there; otherwise new ones, which a process of their
//     own holds until it is killed. FILE has its pid and start time.
// --report-fd NUMBER
//     gets a line `STEP ERRNO` when the namespaces cannot be had, and is closed when PROGRAM has been entered.
int enter_own_namespace(int argc, char** argv);

}  // namespace plybox

// A process above the tests', so that a run that hangs or is ended says in which test case, and leaves nothing behind.
#pragma once
#include <functional>

namespace plybox::test {

// Runs `tests` in a process of its own and prints what it has told: `native: N passed, N failed`. Where a test case
// takes longer than `limit_ms`, the process dies or a signal ends the run: names the test case, shows where it is and
// what runs below it, ends all of that, and counts a failure. Answers the exit code of the run.
int watch(const std::function<int()>& tests, int limit_ms);

// What `tests` tell of each test case. What follows the last one is measured as one, too.
void tell_begun(const char* name);
void tell_ended(bool passed);

}  // namespace plybox::test

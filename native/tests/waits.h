// Waiting that ends, and says so where nothing comes; and saying why a case does not apply.
#pragma once
#include <sys/types.h>

#include <functional>
#include <string>

namespace plybox::test {

// Waits until `done`, asked again and again, is true; fails the test when it never is.
void eventually(const std::function<bool()>& done);

// The wait status of a child once it has ended; fails the test, and ends the child, when it never does.
int wait_for(pid_t child);

// A socket whose calls fail rather than wait for ever.
void bound_waiting(int socket);
// Whether something comes; false when that never happens.
bool readable(int fd);

// Says why a test case does not apply on this machine.
void skipped(const std::string& reason);

// Whether the process of this pid has ended by now.
bool has_ended(pid_t pid);

}  // namespace plybox::test

// An attack is a program that tries one thing and says how it went: with its exit status, and with the last line that
// it prints, `succeeded` or `refused STEP REASON`, the reason being an errno or a word of its own. Any other end, such
// as a crash or a program that is not there, is a broken attack and proves nothing.
#pragma once

enum { SUCCEEDED = 0, REFUSED = 10, BROKEN = 30 };

struct attack {
  const char* name;
  int (*run)(char** arguments);
};

// Ends each table.
#define END_OF_ATTACKS \
  { 0, 0 }

extern const struct attack device_attacks[], file_attacks[], ipc_attacks[], kernel_attacks[], mount_attacks[],
    namespace_attacks[], network_attacks[], process_attacks[], syscall_attacks[], terminal_attacks[];

int succeeded(void);

// Refused by the call that has just set errno.
int refused(const char* step);

int refused_because(const char* step, const char* reason);

// What had to be there for the attack was not: says so and errno, which then is not taken for a refusal.
int broken(const char* step);

// Succeeds where the call did.
int outcome(const char* step, long result);

// Runs `attack` in a child, for what must not change this process, and ends as it does.
int in_child(int (*attack)(char** arguments), char** arguments);

// An empty directory of its own below `parent`; NULL, and errno, where it cannot be made.
const char* make_directory(const char* parent);

// A child that waits for its end, as the harmless victim of a control. It dies with this process.
int start_victim(void);

// The pid that an argument names: a number, or `child` for a new victim.
int victim_of(const char* argument);

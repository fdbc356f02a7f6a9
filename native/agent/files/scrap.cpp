#include "agent/files/scrap.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <unistd.h>

namespace plybox {
namespace {

// Read by the signal's handler: set last, cleared first.
volatile sig_atomic_t scrap_directory = -1;
char scrap_name[NAME_MAX + 1];

void terminate(int) {
  remove_scrap();
  _exit(128 + SIGTERM);
}

}  // namespace

void set_scrap(int directory, const std::string& name) {
  scrap_directory = -1;
  if (name.size() > NAME_MAX) return;
  name.copy(scrap_name, name.size());
  scrap_name[name.size()] = '\0';
  scrap_directory = directory;
}

void keep_scrap() { scrap_directory = -1; }

void remove_scrap() {
  if (scrap_directory >= 0) unlinkat(scrap_directory, scrap_name, 0);
  scrap_directory = -1;
}

void remove_scrap_on_termination() {
  struct sigaction action {};
  action.sa_handler = terminate;
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace plybox

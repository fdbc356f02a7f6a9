// Device nodes, and what they lead to.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "attack.h"

// Makes a node in a directory of its own below `parent` and, with `opens`, opens it for reading; nothing is read.
static int try_node(const char* parent, mode_t mode, dev_t device, int opens) {
  const char* directory = make_directory(parent);
  if (directory == NULL) return broken("mkdtemp");
  char name[600];
  snprintf(name, sizeof(name), "%s/node", directory);
  int made = mknod(name, mode, device);
  int result = made == 0 && opens ? outcome("open", open(name, O_RDONLY | O_NONBLOCK)) : outcome("mknod", made);
  unlink(name);
  rmdir(directory);
  return result;
}

// DIRECTORY TYPE MAJOR MINOR: a node of type c or b.
static int node(char** arguments) {
  dev_t device = makedev((unsigned)atoi(arguments[2]), (unsigned)atoi(arguments[3]));
  return try_node(arguments[0], (*arguments[1] == 'b' ? S_IFBLK : S_IFCHR) | 0600, device, 1);
}

// DIRECTORY: a whiteout of overlayfs, the character device 0:0, which needs no capability on other file systems.
static int whiteout(char** arguments) { return try_node(arguments[0], S_IFCHR, makedev(0, 0), 0); }

const struct attack device_attacks[] = {
    {"node", node},
    {"whiteout", whiteout},
    END_OF_ATTACKS,
};

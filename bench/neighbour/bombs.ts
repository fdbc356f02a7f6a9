/** Something that takes all that it can get of one thing, again and again until it is killed. */
export interface Bomb {
  readonly name: string;
  /** For /bin/sh on the `host` layer. */
  readonly line: string;
  /** Of one that floods: how many run it, and each reads what it writes, through the daemon; 0 for one that nobody reads. */
  readonly readers?: number;
}

const python = (...lines: readonly string[]): string => `exec python3 -c '${lines.join("\n")}'`;

export const BOMBS: readonly Bomb[] = [
  // On every core, with processes to spare.
  { name: "cpu", line: "for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; wait" },
  { name: "forks", line: python("import os", "while True:", " try: os.fork()", " except OSError: pass") },
  {
    name: "zombies",
    line: python("import os", "while True:", " try:", "  if os.fork() == 0: os._exit(0)", " except OSError: pass"),
  },
  { name: "memory", line: "while :; do tail /dev/zero; done" },
  { name: "disk", line: "while :; do cat /dev/zero > /root/full; rm /root/full; done" },
  {
    name: "inodes",
    line: "mkdir /root/d; cd /root/d; while :; do seq 1000000 | xargs touch; find . -type f -delete; done",
  },
  {
    name: "descriptors",
    line: python(
      "import os",
      "while True:",
      " held = []",
      " try:",
      "  while True: held.append(os.dup(0))",
      " except OSError:",
      "  for fd in held: os.close(fd)",
    ),
  },
  { name: "flood-unread", line: "exec yes", readers: 0 },
  { name: "flood-read", line: "exec yes", readers: 1 },
  { name: "floods-read", line: "exec yes", readers: 6 },
];

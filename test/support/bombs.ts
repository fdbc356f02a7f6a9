/** Lines for /bin/sh that take all they can get of one thing, and then fail. The sandbox needs the `host` layer. */
export const BOMBS = {
  /** Processes that live, until one is refused. */
  forks: `exec python3 -c '
import os, time
while True:
    if os.fork() == 0: time.sleep(100)
'`,
  /** Each makes two more, and none gives up. */
  forksForEver: `exec python3 -c '
import os
while True:
    try: os.fork()
    except OSError: pass
'`,
  /** Processes that end at once, and that nobody waits for. */
  zombies: `exec python3 -c '
import os
while True:
    if os.fork() == 0: os._exit(0)
'`,
  memory: "exec tail /dev/zero",
  /** In many processes, none of which takes too much itself; fails when one of them has ended. */
  memoryInMany: `exec python3 -c '
import os, time
for i in range(30):
    if os.fork() == 0:
        held = bytearray(os.urandom(1)) * (8 << 20)
        time.sleep(100)
os.wait()
os._exit(1)
'`,
  diskBytes: "exec cat /dev/zero > /root/full",
  diskInodes: "mkdir /root/full; cd /root/full; seq 100000 | xargs touch",
  descriptors: "exec python3 -c 'import os; [os.dup(0) for i in range(100000)]'",
  fileSize: "exec cat /dev/zero > /root/large",
  output: "exec yes",
  processor: "while :; do :; done",
} as const;

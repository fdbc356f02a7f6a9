import type { Holder, ProbeGroup, ProgramProbe } from "../probe.ts";
import { inC, inPython, inShell } from "../probe.ts";

/** On process 1 inside, and on a victim of its own outside. */
const onInit = (name: string, tries: string, attack: string, ...more: string[]): ProgramProbe =>
  inC(name, tries, [], {
    inside: () => [attack, "1", ...more],
    outside: () => [attack, "child", ...more],
    // The kernel drops what would end process 1 of a PID namespace.
    proof: ["NO_EFFECT"],
  });

const kills = (name: string, tries: string, signal: string, user?: string): ProgramProbe => ({
  ...onInit(name, tries, "kill", signal),
  ...(user !== undefined && { user }),
});

/** In two pieces, so that the command line of who looks for the word is not what is found. */
const seeProcess = ({ word }: Holder): readonly string[] => ["see-process", word.slice(0, 6), word.slice(6)];

/** FD_PIDFS_ROOT */
const PROCESSES_FILE_SYSTEM = "-10002";
const NO_HANDLES = "this kernel gives processes no handles";

const hidden = { proof: ["NONE", "ENOENT", "ESRCH"] };
export const PROCESSES: ProbeGroup = {
  title: "Other processes",
  probes: [
    onInit("ptrace-init", "attach to process 1", "attach"),
    onInit("ptrace-init-quietly", "seize process 1", "seize"),
    onInit("read-init", "read the memory of process 1 by process_vm_readv", "read-memory"),
    onInit("write-init", "write the memory of process 1 by process_vm_writev", "write-memory"),
    onInit("init-memory", "open /proc/1/mem", "open-of", "mem"),
    onInit("init-map", "open /proc/1/maps", "open-of", "maps"),
    onInit("init-environment", "open /proc/1/environ", "open-of", "environ"),
    onInit("init-stack", "read /proc/1/stack", "read-of", "stack"),
    onInit("init-program", "open the agent's program for writing through /proc/1/exe", "write-program"),
    onInit("init-descriptor", "take a descriptor of process 1 by pidfd_getfd", "take-descriptor"),
    onInit("init-compare", "compare itself with process 1 by kcmp", "compare-kernel-objects"),
    onInit("init-pages", "ask where the pages of process 1 are", "move-pages-of"),
    kills("kill-init", "kill process 1", "9"),
    kills("stop-init", "stop process 1", "19"),
    kills("crash-init", "crash process 1", "11"),
    kills("kill-init-as-user", "kill process 1 as an ordinary user", "9", "1000"),
    inShell("kill-init-command", "kill process 1 by the shell's kill", [], {
      inside: () => ["end", "1"],
      outside: () => ["end", "child"],
      proof: ["NO_EFFECT"],
    }),
    inShell("kill-init-command-as-user", "kill process 1 by the shell's kill, as an ordinary user", [], {
      inside: () => ["end", "1"],
      outside: () => ["end", "child"],
      user: "1000",
    }),
    inC(
      "process-by-handle",
      "open a process of the host by its handle",
      ({ handles }) => {
        return ["open-by-handle", PROCESSES_FILE_SYSTEM, handles.process];
      },
      { proof: ["ESTALE"], lacks: { ESTALE: NO_HANDLES, EBADF: NO_HANDLES, EINVAL: NO_HANDLES } },
    ),
    inPython("process-of-host", "find a process of the host", ({ host }) => seeProcess(host), hidden),
    inPython("process-of-neighbour", "find a process of another sandbox", ({ neighbour }) => seeProcess(neighbour), {
      ...hidden,
      outside: ({ host }) => seeProcess(host),
    }),
    inPython(
      "environment-of-daemon",
      "find a word of the daemon's environment",
      ({ environment }) => {
        return ["see-environment", environment];
      },
      hidden,
    ),
    inPython(
      "root-of-others",
      "read a host's file through /proc/PID/root",
      ({ file }) => ["read-by-root-of", file],
      hidden,
    ),
    inPython("root-of-init", "read a host's file through /proc/1/root", ({ file }) => ["read-by-root-of", file, "1"], {
      ...hidden,
      disposable: true,
    }),
    inC("real-time", "run before everybody else, by SCHED_FIFO", ["real-time"]),
    inC("deadline", "run before everybody else, by SCHED_DEADLINE", ["deadline"]),
    inC("priority", "raise its priority", ["priority"]),
    inC("io-priority", "ask for real-time input and output", ["io-priority"]),
    inC("oom-score", "survive when the machine is out of memory", ["survive-memory"], {
      lacks: { EACCES: "these tests lack CAP_SYS_RESOURCE" },
    }),
    inC("descriptor-limit", "raise its hard limit of open files", ["raise-limit"], {
      lacks: { EPERM: "these tests lack CAP_SYS_RESOURCE" },
    }),
    inC("locked-memory", "raise its limit of locked memory", ["lock-memory"], {
      lacks: { EPERM: "these tests lack CAP_SYS_RESOURCE" },
    }),
    inPython("memory-lock", "lock more memory than its limit", ["hold-in-memory"], {
      proof: ["ENOMEM", "EAGAIN"],
    }),
  ],
};

import type { ProbeGroup } from "../probe.ts";
import { inC } from "../probe.ts";

export const SYSCALLS: ProbeGroup = {
  title: "System calls that open the kernel to attack",
  probes: [
    inC("bpf-map", "make a BPF map", ["bpf-map"]),
    inC("bpf-program", "load a BPF program", ["bpf-program"]),
    inC("perf-event", "count its own processor time by perf_event_open", ["perf-event"]),
    inC("userfaultfd", "handle its own page faults by userfaultfd", ["user-faults"]),
    inC("io-uring", "set up an io_uring", ["io-ring"]),
    inC("add-key", "add a key to a keyring of its own", ["add-key"]),
    inC("request-key", "ask for a key that is not there", ["request-key"]),
    inC("keyring", "join a session keyring of its own", ["join-session"]),
    inC("key-of-host", "read a key of who runs the daemon", ({ keySerial }) => ["read-key", keySerial], {
      byDaemonUser: true,
    }),
    inC("fanotify", "decide on others' opening of files by fanotify", ["watch-permissions"]),
    inC("iopl", "reach all ports of the hardware", ["io-privilege"]),
    inC("ioperm", "reach a port of the hardware", ["io-port"]),
    inC("modify-ldt", "make a segment by modify_ldt", ["change-segments"]),
    inC("personality", "switch its address randomization off", ["fixed-addresses"]),
    inC("memory-policy", "set a NUMA policy", ["memory-policy"]),
    inC("dcookie", "look a cookie up by lookup_dcookie", ["cookie"]),
    inC("i386-call", "make a 32-bit system call by int 0x80", ["i386-call"]),
    inC("i386-program", "run a 32-bit program", ["i386-program"], {
      proof: ["ENOEXEC"],
      lacks: { ENOEXEC: "this kernel runs no 32-bit programs" },
    }),
    inC("x32-call", "make a system call of the x32 convention", ["x32-call"]),
    inC("terminal-type", "type into its own terminal by TIOCSTI", ["type"], {
      proof: ["EIO"],
      lacks: { EIO: "this machine's dev.tty.legacy_tiocsti is 0" },
    }),
    inC("terminal-console", "reach the console by TIOCLINUX", ["console"], {
      proof: ["ENOENT"],
      lacks: { ENOENT: "this machine has no console", ENXIO: "this machine has no console" },
    }),
    inC("terminal-hang-up", "hang a terminal up by vhangup", ["hang-up"]),
  ],
};

/** Probes that nothing but a seccomp filter stops, and that are therefore expected to be open. */
export const AWAITING_SECCOMP: readonly string[] = [
  ...[
    "quota",
    "perf-event",
    "userfaultfd",
    "io-uring",
    "add-key",
    "request-key",
    "keyring",
    "modify-ldt",
    "personality",
  ],
  ...["memory-policy", "i386-call", "i386-program", "terminal-type", "socket-vsock"],
  ...["unshare-user", "clone-user", "clone3-user"],
];

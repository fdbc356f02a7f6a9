const EVERYWHERE = [
  ...["quota", "perf-event", "userfaultfd", "io-uring", "add-key", "request-key", "keyring", "modify-ldt"],
  ...["personality", "memory-policy", "i386-call", "i386-program", "terminal-type", "socket-vsock"],
  ...["unshare-user", "clone-user", "clone3-user", "packets-of-own", "rules-of-own"],
];

/** Probes that nothing but a seccomp filter stops, and that are therefore expected to be open; by the target's name. */
export const AWAITING_SECCOMP: Readonly<Record<string, readonly string[]>> = {
  native: EVERYWHERE,
  "native, rootless": [...EVERYWHERE, "key-of-host"],
};

interface Expectation {
  /** The target's name. */
  readonly target: string;
  readonly probes: readonly string[];
  readonly why: string;
}

/** Probes that are not contained, each with the reason; one of them that is contained fails the suite as well. */
export const EXPECTED_OPEN: readonly Expectation[] = [
  {
    target: "native, privilege escalation allowed",
    probes: ["setuid", "file-capability"],
    why: "what the option is for; both reach no further than the sandbox's own ids",
  },
  {
    target: "native, permissive",
    probes: ["perf-event", "userfaultfd", "io-uring", "modify-ldt", "personality", "memory-policy"],
    why: "what the profile is for; all act on the caller's own processes, and make the kernel's surface larger",
  },
];

/** The reason for which a probe is expected to be open. */
export const whyOpen = (target: string, probe: string): string | undefined =>
  EXPECTED_OPEN.find((expected) => expected.target === target && expected.probes.includes(probe))?.why;

/** The profiles that have a name; `unconfined` is none. */
export const SECCOMP_PROFILES = ["default", "strict", "permissive", "unconfined"] as const;
export type SeccompProfileName = (typeof SECCOMP_PROFILES)[number];

/** What may be chosen by whoever may create a sandbox; anything else is the operator's to choose. */
export const TENANT_SECCOMP_PROFILES: ReadonlySet<unknown> = new Set<SeccompProfileName>(["default", "strict"]);

export const SECCOMP_ACTIONS = [
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_LOG",
  "SCMP_ACT_TRAP",
] as const;
export type SeccompAction = (typeof SECCOMP_ACTIONS)[number];

export const SECCOMP_OPERATORS = [
  "SCMP_CMP_EQ",
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
] as const;

export interface SeccompArgument {
  /** Which argument of the call: 0 to 5. */
  readonly index: number;
  /** What it is compared with; of SCMP_CMP_MASKED_EQ the mask. */
  readonly value: number;
  /** Of SCMP_CMP_MASKED_EQ what the masked argument is compared with. */
  readonly valueTwo?: number;
  readonly op: (typeof SECCOMP_OPERATORS)[number];
}

/** Where a rule counts; as container engines extend the OCI format. */
export interface SeccompCondition {
  readonly caps?: readonly string[];
  /** In Go's words: amd64, arm64. */
  readonly arches?: readonly string[];
  /** Such as `4.8`. */
  readonly minKernel?: string;
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  /** Of SCMP_ACT_ERRNO; EPERM (1) by default. */
  readonly errnoRet?: number;
  /** All must be met. */
  readonly args?: readonly SeccompArgument[] | null;
  readonly includes?: SeccompCondition;
  readonly excludes?: SeccompCondition;
}

/** A seccomp profile in the JSON format of the OCI runtime specification (`linux.seccomp`). */
export interface SeccompProfile {
  /** Of calls that no rule is about. */
  readonly defaultAction: SeccompAction;
  /** Of SCMP_ACT_ERRNO; EPERM (1) by default. */
  readonly defaultErrnoRet?: number;
  readonly syscalls?: readonly SeccompRule[];
}

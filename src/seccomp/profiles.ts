import { constants } from "node:os";
import type { SeccompArgument, SeccompProfile, SeccompProfileName, SeccompRule } from "../model/seccomp.ts";
import { hasNone, isInt, isNoneOf } from "./arguments.ts";
import {
  FILES,
  IDENTITY,
  KEYRINGS,
  MACHINE,
  MEMORY,
  MESSAGES,
  MOUNTS,
  PROCESSES,
  RISKS,
  SELF_CONFINEMENT,
  SIGNALS,
  SOCKETS,
  TIME,
  UNCOMMON,
  WAITING,
} from "./calls.ts";

const { EPERM, ENOSYS, EINVAL } = constants.errno;

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const NAMESPACES = 0x7e02_0000;
/** In the flags of clone this bit belongs to a signal's number. */
const NEWTIME = 0x80;
/** Types into the terminal of whoever started the program. */
const TIOCSTI = 0x5412;
/** Pastes into a virtual console. */
const TIOCLINUX = 0x541c;

const [UNIX, INET, INET6, NETLINK] = [1, 2, 10, 16];
/** Leads to the hypervisor and to other guests, past the network namespace. */
const VSOCK = 40;
const [ROUTE, SOCK_DIAG, AUDIT, KOBJECT_UEVENT, GENERIC] = [0, 4, 9, 15, 16];

/** PER_LINUX, PER_LINUX32, with UNAME26 each, and asking. */
const PERSONALITIES = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

const allow = (names: readonly string[], ...args: readonly SeccompArgument[]): SeccompRule => ({
  names,
  action: "SCMP_ACT_ALLOW",
  ...(args.length > 0 && { args }),
});
const refuse = (names: readonly string[], errnoRet: number = EPERM): SeccompRule => ({
  names,
  action: "SCMP_ACT_ERRNO",
  errnoRet,
});

const netlink = (protocol: number) => allow(["socket"], isInt(0, NETLINK), isInt(2, protocol));

/** Each bit alone, of a call that is refused where its argument has any of them. */
const withAny = (name: string, index: number, bits: number): readonly SeccompRule[] =>
  Array.from({ length: 32 }, (_, place) => 2 ** place)
    .filter((bit) => Math.floor(bits / bit) % 2 === 1)
    .map((bit) => ({ ...refuse([name]), args: [{ index, value: bit, valueTwo: bit, op: "SCMP_CMP_MASKED_EQ" }] }));

const NEW_NAMESPACES: readonly SeccompRule[] = [
  ...withAny("clone", 0, NAMESPACES),
  ...withAny("unshare", 0, NAMESPACES + NEWTIME),
  // Its flags lie in memory, where a filter cannot look. The C library goes on with clone where there is no clone3.
  refuse(["clone3"], ENOSYS),
];

/** Calls that depend on their arguments, the same in both profiles that allow by name. */
const BY_ARGUMENT: readonly SeccompRule[] = [
  ...NEW_NAMESPACES,
  allow(["clone"], hasNone(0, NAMESPACES)),
  allow(["unshare"], hasNone(0, NAMESPACES + NEWTIME)),
  ...isNoneOf(1, [TIOCSTI, TIOCLINUX]).map((argument) => allow(["ioctl"], argument)),
  ...[UNIX, INET, INET6].map((family) => allow(["socket"], isInt(0, family))),
  ...[ROUTE, SOCK_DIAG, KOBJECT_UEVENT, GENERIC].map(netlink),
  // What asks for the kernel's audit goes on without it after this answer alone.
  { names: ["socket"], action: "SCMP_ACT_ERRNO", errnoRet: EINVAL, args: [isInt(0, NETLINK), isInt(2, AUDIT)] },
];

const COMMON = [
  ...[FILES, WAITING, MEMORY, PROCESSES, SIGNALS, TIME, IDENTITY, SOCKETS, MESSAGES, SELF_CONFINEMENT].flat(),
];

/** A call that no profile knows does not exist, so that programs fall back to an older one. */
const UNKNOWN = { defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: ENOSYS } as const;

const DEFAULT: SeccompProfile = {
  ...UNKNOWN,
  syscalls: [
    allow([...COMMON, ...UNCOMMON]),
    ...BY_ARGUMENT,
    ...PERSONALITIES.map((persona) => allow(["personality"], isInt(0, persona))),
    refuse([...MOUNTS, ...MACHINE, ...RISKS]),
  ],
};

const STRICT: SeccompProfile = {
  ...UNKNOWN,
  syscalls: [allow(COMMON), ...BY_ARGUMENT, refuse([...MOUNTS, ...MACHINE, ...RISKS, ...UNCOMMON, "personality"])],
};

const PERMISSIVE: SeccompProfile = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [
    refuse([...MOUNTS, ...MACHINE, ...KEYRINGS, "bpf", "open_by_handle_at", "setns", "pidfd_getfd"]),
    ...NEW_NAMESPACES,
    { ...refuse(["socket"]), args: [isInt(0, VSOCK)] },
    ...[TIOCSTI, TIOCLINUX].map((request): SeccompRule => ({ ...refuse(["ioctl"]), args: [isInt(1, request)] })),
  ],
};

/** The profiles that come with Plybox. */
export const BUILT_IN_PROFILES: Readonly<Record<Exclude<SeccompProfileName, "unconfined">, SeccompProfile>> = {
  default: DEFAULT,
  strict: STRICT,
  permissive: PERMISSIVE,
};

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CAPABILITIES } from "../model/capabilities.ts";
import type { SeccompProfile } from "../model/seccomp.ts";
import { NUMBERS } from "./calls.ts";
import { BUILT_IN_PROFILES } from "./profiles.ts";
import { readProfile } from "./read-profile.ts";
import { lets, resolveProfile } from "./rules.ts";

/** What Debian's container engines use, from the package golang-github-containers-common. */
const CONTAINERS = "/usr/share/containers/seccomp.json";
const TARGET = { arch: "x64", kernel: "6.18.0", capabilities: new Set(CAPABILITIES) };

/** Younger than that file; what each does is what an older call does too. */
const YOUNGER = new Set(
  Object.entries(NUMBERS)
    .filter(([, number]) => number >= 449)
    .map(([name]) => name),
);

const namesOf = ({ syscalls = [] }: SeccompProfile): ReadonlySet<string> =>
  new Set(syscalls.flatMap(({ names }) => names));

describe("the default profile", () => {
  const own = resolveProfile(BUILT_IN_PROFILES.default, TARGET);

  it("lets nothing through that the container engines' default refuses", async () => {
    const theirs = resolveProfile(await readProfile(JSON.parse(readFileSync(CONTAINERS, "utf8"))), TARGET);
    const wider = [...namesOf(BUILT_IN_PROFILES.default)].filter((name) => lets(own, name) && !lets(theirs, name));
    expect(wider.filter((name) => !YOUNGER.has(name))).toEqual(["io_pgetevents"]);
  });

  it.each([
    ...["io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key", "request_key", "bpf", "clone3"],
    ...["perf_event_open", "userfaultfd", "setns", "mount", "umount2", "pivot_root", "fsopen", "fsconfig", "fsmount"],
    ...["fspick", "open_tree", "open_tree_attr", "move_mount", "mount_setattr", "open_by_handle_at", "init_module"],
    ...["finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff", "syslog"],
    ...["acct", "quotactl", "iopl", "ioperm", "clock_settime", "settimeofday", "sethostname", "pidfd_getfd"],
    ...["kcmp", "process_madvise", "modify_ldt", "fanotify_init", "vmsplice", "move_pages", "lookup_dcookie"],
    ...["statmount", "listmount", "lsm_set_self_attr", "a_call_of_tomorrow"],
  ])("does not let %s through", (name) => {
    expect(lets(own, name)).toBe(false);
    expect(lets(resolveProfile(BUILT_IN_PROFILES.strict, TARGET), name)).toBe(false);
  });
});

describe("the strict profile", () => {
  it("lets less through than the default", () => {
    const [own, other] = [BUILT_IN_PROFILES.strict, BUILT_IN_PROFILES.default].map((profile) =>
      resolveProfile(profile, TARGET),
    ) as [ReturnType<typeof resolveProfile>, ReturnType<typeof resolveProfile>];
    const names = [...namesOf(BUILT_IN_PROFILES.default)];
    expect(names.filter((name) => lets(own, name) && !lets(other, name))).toEqual([]);
    expect(names.filter((name) => lets(other, name) && !lets(own, name))).toEqual(
      expect.arrayContaining(["ptrace", "process_vm_writev", "chroot", "personality"]),
    );
  });
});

describe("the permissive profile", () => {
  it("lets through what no rule is about, and keeps mounts, namespaces and the machine out of reach", () => {
    const own = resolveProfile(BUILT_IN_PROFILES.permissive, TARGET);
    expect(["io_uring_setup", "userfaultfd", "perf_event_open"].every((name) => lets(own, name))).toBe(true);
    const refused = ["mount", "open_tree_attr", "setns", "bpf", "init_module", "clone3", "keyctl", "request_key"];
    expect(refused.filter((name) => lets(own, name))).toEqual([]);
  });
});

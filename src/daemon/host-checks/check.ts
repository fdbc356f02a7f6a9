import type { NativeProgram } from "../../native/programs.ts";

/** What a check sees of the machine. Every path can be another one, so that a check can be tried on what is not there. */
export interface Host {
  readonly nodeVersion: string;
  readonly uid: number;
  readonly kernelRelease: string;
  /** Directories in which programs are looked for. */
  readonly path: readonly string[];
  /** Where procfs, sysfs, devices and kernel modules are: `/proc`, `/sys`, `/dev`, `/lib/modules`. */
  readonly proc: string;
  readonly sys: string;
  readonly dev: string;
  readonly modules: string;
  readonly stateDir: string;
  readonly socket: string;
  /** Path of a native program; throws PlyboxError `host/missing` where it is not built. */
  readonly nativeProgram: (name: NativeProgram) => string;
  /** The accounts: `/etc`. */
  readonly etc: string;
  /** Makes a user namespace as this user and answers how many ids it has; throws where it cannot. */
  readonly tryOwnNamespace: () => Promise<number>;
  /** Asks the launcher, docs/protocol.md §5: resolves when it can, throws when it cannot. */
  readonly tryLauncher: (what: Feature, path: string) => Promise<void>;
}

/** What the launcher can try. */
export type Feature = "idmap" | "overlay" | "namespaces" | "loop" | "landlock";

type Status = "ok" | "warn" | "missing";

/** What one check found. */
export interface Finding {
  readonly name: string;
  readonly status: Status;
  /** Whether the native backend cannot run without it. */
  readonly required: boolean;
  readonly detail: string;
  /** The command, or the step, that mends it. */
  readonly remedy?: string;
}

export type Verdict = Omit<Finding, "name" | "required">;

export interface Check {
  readonly name: string;
  readonly required: boolean;
  readonly examine: (host: Host) => Verdict | Promise<Verdict>;
}

export const ok = (detail: string): Verdict => ({ status: "ok", detail });
export const warn = (detail: string, remedy?: string): Verdict => ({
  status: "warn",
  detail,
  ...(remedy !== undefined && { remedy }),
});
export const missing = (detail: string, remedy?: string): Verdict => ({
  status: "missing",
  detail,
  ...(remedy !== undefined && { remedy }),
});

import { release } from "node:os";
import { PROGRAM_ENVIRONMENT } from "../layers/programs.ts";
import { PlyboxError } from "../model/errors.ts";
import { NativeLauncher } from "../native/launcher.ts";
import { nativeProgram } from "../native/programs.ts";
import { CGROUP_CHECKS } from "./host-checks/cgroups.ts";
import type { Check, Finding, Host } from "./host-checks/check.ts";
import { missing } from "./host-checks/check.ts";
import { DAEMON_CHECKS } from "./host-checks/daemon.ts";
import { FILE_SYSTEM_CHECKS } from "./host-checks/file-systems.ts";
import { HARDENING_CHECKS } from "./host-checks/hardening.ts";
import { NAMESPACE_CHECKS } from "./host-checks/namespaces.ts";
import { PROCESS_CHECKS } from "./host-checks/process.ts";
import { NATIVE_CHECKS, TOOL_CHECKS } from "./host-checks/programs.ts";
import { ROOTLESS_CHECKS } from "./host-checks/rootless.ts";
import { ownNamespaceCommand, tryOwnNamespace } from "./rootless/own-namespace.ts";
import { readRealm } from "./rootless/realm.ts";

/** Everything that is looked at, in the order in which it is shown. */
export const HOST_CHECKS: readonly Check[] = [
  ...PROCESS_CHECKS,
  ...NATIVE_CHECKS,
  ...NAMESPACE_CHECKS,
  ...ROOTLESS_CHECKS,
  ...FILE_SYSTEM_CHECKS,
  ...CGROUP_CHECKS,
  ...HARDENING_CHECKS,
  ...TOOL_CHECKS,
  ...DAEMON_CHECKS,
];

/** Tries what Plybox needs of this machine. Nothing stays changed. */
export async function probeHost(config: Pick<Host, "stateDir" | "socket">): Promise<readonly Finding[]> {
  // Private: what it tries to mount is seen by nobody.
  const isRoot = process.getuid?.() === 0;
  const launcher = new NativeLauncher({
    private: true,
    rootless: !isRoot || readRealm().kind === "namespace",
    ...(!isRoot && { within: await ownNamespaceCommand() }),
  });
  try {
    return await examineHost({
      nodeVersion: process.versions.node,
      uid: process.getuid?.() ?? -1,
      kernelRelease: release(),
      // Where the programs are looked for that build layers.
      path: PROGRAM_ENVIRONMENT.PATH.split(":"),
      etc: "/etc",
      tryOwnNamespace,
      ...{ proc: "/proc", sys: "/sys", dev: "/dev", modules: "/lib/modules" },
      ...{ stateDir: config.stateDir, socket: config.socket },
      nativeProgram,
      tryLauncher: (what, path) => launcher.probe(what, path),
    });
  } finally {
    if (launcher.pid !== undefined) await launcher.close();
  }
}

/** Runs the checks. One that fails itself is a finding too. */
export async function examineHost(host: Host, checks: readonly Check[] = HOST_CHECKS): Promise<readonly Finding[]> {
  return await Promise.all(checks.map((check) => examine(check, host)));
}

async function examine({ name, required, examine }: Check, host: Host): Promise<Finding> {
  try {
    return { name, required, ...(await examine(host)) };
  } catch (error) {
    const { message } = error as Error;
    if (error instanceof PlyboxError) return { name, required, ...missing(message) };
    return { name, required, ...missing(`the check failed: ${message}`) };
  }
}

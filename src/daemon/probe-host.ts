import { CGROUP_CHECKS } from "./host-checks/cgroups.ts";
import type { Check, Finding, Host } from "./host-checks/check.ts";
import { DAEMON_CHECKS } from "./host-checks/daemon.ts";
import { FILE_SYSTEM_CHECKS } from "./host-checks/file-systems.ts";
import { HARDENING_CHECKS } from "./host-checks/hardening.ts";
import { NAMESPACE_CHECKS } from "./host-checks/namespaces.ts";
import { PROCESS_CHECKS } from "./host-checks/process.ts";
import { NATIVE_CHECKS, TOOL_CHECKS } from "./host-checks/programs.ts";

/** Everything that is looked at, in the order in which it is shown. */
export const HOST_CHECKS: readonly Check[] = [
  ...PROCESS_CHECKS,
  ...NATIVE_CHECKS,
  ...NAMESPACE_CHECKS,
  ...FILE_SYSTEM_CHECKS,
  ...CGROUP_CHECKS,
  ...HARDENING_CHECKS,
  ...TOOL_CHECKS,
  ...DAEMON_CHECKS,
];

/** Tries what Plybox needs of this machine. Nothing stays changed; a check that fails itself is a finding too. */
export async function examineHost(host: Host, checks: readonly Check[] = HOST_CHECKS): Promise<readonly Finding[]> {
  return await Promise.all(checks.map((check) => examine(check, host)));
}

async function examine({ name, required, examine }: Check, host: Host): Promise<Finding> {
  try {
    return { name, required, ...(await examine(host)) };
  } catch (error) {
    return { name, required, status: "missing", detail: `the check failed: ${(error as Error).message}` };
  }
}

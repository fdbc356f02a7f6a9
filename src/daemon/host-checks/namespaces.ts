import { existsSync } from "node:fs";
import { restrictionsOf } from "../rootless/restrictions.ts";
import type { Check, Feature, Host, Verdict } from "./check.ts";
import { missing, ok, warn } from "./check.ts";
import { readText } from "./read-text.ts";

/** `file` is the kernel's name of a kind, in /proc/self/ns and in /proc/sys/user. */
const KINDS = [
  { name: "mount", file: "mnt", config: "NAMESPACES", required: true },
  { name: "pid", file: "pid", config: "PID_NS", required: true },
  { name: "network", file: "net", config: "NET_NS", required: true },
  { name: "ipc", file: "ipc", config: "IPC_NS", required: true },
  { name: "uts", file: "uts", config: "UTS_NS", required: true },
  { name: "cgroup", file: "cgroup", config: "CGROUPS", required: true },
  { name: "user", file: "user", config: "USER_NS", required: true },
  { name: "time", file: "time", config: "TIME_NS", required: false },
] as const;

const kindChecks = KINDS.map(
  ({ name, file, config, required }): Check => ({
    name: `${name} namespaces`,
    required,
    examine({ proc }) {
      if (!existsSync(`${proc}/self/ns/${file}`)) {
        return missing("this kernel has none", `boot a kernel with CONFIG_${config}`);
      }
      const limit = readText(`${proc}/sys/user/max_${file}_namespaces`)?.trim();
      if (limit === "0") return missing("the limit is 0", `sysctl -w user.max_${file}_namespaces=65536`);
      return ok(limit === undefined ? "in this kernel" : `at most ${limit}`);
    },
  }),
);

export const NAMESPACE_CHECKS: readonly Check[] = [
  ...kindChecks,
  {
    name: "new namespaces",
    required: true,
    examine: (host) => tryFeature(host, "namespaces", "/", "clone3 with all of them works"),
  },
  {
    name: "user namespaces of non-root",
    required: false,
    examine({ proc }) {
      const [restriction] = restrictionsOf(proc);
      return restriction === undefined ? ok("not restricted") : warn(restriction.cause, restriction.remedy);
    },
  },
];

/** Has the launcher really do it. Without a launcher nothing is known, which another check tells of. */
export async function tryFeature(host: Host, what: Feature, path: string, works: string): Promise<Verdict> {
  try {
    host.nativeProgram("plylaunch");
  } catch {
    return warn("not tried: plylaunch is not built", "npm run build:native");
  }
  try {
    await host.tryLauncher(what, path);
    return ok(works);
  } catch (error) {
    return missing((error as Error).message);
  }
}

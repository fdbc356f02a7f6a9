import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { Check } from "./check.ts";
import { missing, ok, warn } from "./check.ts";
import { tryFeature } from "./namespaces.ts";
import { readText } from "./read-text.ts";

export const HARDENING_CHECKS: readonly Check[] = [
  {
    name: "seccomp",
    required: false,
    examine({ proc }) {
      const actions = readText(`${proc}/sys/kernel/seccomp/actions_avail`)?.trim();
      if (actions?.split(" ").includes("errno")) return ok(`filters can answer ${actions}`);
      return missing("this kernel has no filters", "boot a kernel with CONFIG_SECCOMP_FILTER");
    },
  },
  {
    name: "landlock",
    required: false,
    async examine(host) {
      const tried = await tryFeature(host, "landlock", "/", "fences in every sandbox");
      if (tried.status !== "missing") return tried;
      const active = readText(`${host.sys}/kernel/security/lsm`)?.trim();
      if (active?.split(",").includes("landlock")) return missing("too old", "boot a kernel of 5.19 or newer");
      const isBuilt = readText(`${host.proc}/kallsyms`)?.includes(" landlock_init");
      if (isBuilt || active !== undefined) return warn("not active", `boot with lsm=landlock,${active ?? "…"}`);
      return missing("not in this kernel", "boot a kernel with CONFIG_SECURITY_LANDLOCK");
    },
  },
  {
    name: "kvm",
    required: false,
    async examine({ dev, proc }) {
      const path = `${dev}/kvm`;
      try {
        await (await open(path, constants.O_RDWR)).close();
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "ENOENT") return missing("microVMs need it", "modprobe kvm_intel, or kvm_amd");
        return warn(`${path} cannot be opened (${code})`, "add yourself to the group kvm");
      }
      // The device may be there where no guest can be started on it.
      if (/^flags\s*:.*\b(?:vmx|svm)\b/m.test(readText(`${proc}/cpuinfo`) ?? "")) return ok(path);
      return warn(
        `${path} opens, but this processor shows neither vmx nor svm`,
        "turn virtualization on in the firmware",
      );
    },
  },
];

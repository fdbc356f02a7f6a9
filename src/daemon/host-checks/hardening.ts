import { constants } from "node:fs";
import { open } from "node:fs/promises";
import type { Check } from "./check.ts";
import { missing, ok, warn } from "./check.ts";
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
    examine({ sys, proc }) {
      const active = readText(`${sys}/kernel/security/lsm`);
      if (active?.trim().split(",").includes("landlock")) return ok("active");
      if (active !== undefined) return warn(`not among ${active.trim()}`, "boot with lsm=landlock,…");
      if (readText(`${proc}/kallsyms`)?.includes(" landlock_init")) {
        return warn(
          "in this kernel; whether it is active cannot be seen",
          `mount -t securityfs none ${sys}/kernel/security`,
        );
      }
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

import type { Check } from "./check.ts";
import { missing, ok } from "./check.ts";
import { readText } from "./read-text.ts";

const OLDEST_NODE = [20, 20] as const;

/** What the launcher uses, by the kernel's numbers (linux/capability.h). */
const CAPABILITIES = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_FOWNER: 3,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_NET_ADMIN: 12,
  CAP_SYS_CHROOT: 18,
  CAP_SYS_ADMIN: 21,
  CAP_MKNOD: 27,
} as const;

export const PROCESS_CHECKS: readonly Check[] = [
  {
    name: "node",
    required: true,
    examine({ nodeVersion }) {
      const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
      const isEnough = major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
      if (isEnough) return ok(nodeVersion);
      return missing(`${nodeVersion} is too old`, `install Node.js ${OLDEST_NODE.join(".")} or newer`);
    },
  },
  {
    name: "privileges",
    required: true,
    examine({ proc, uid }) {
      const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText(`${proc}/self/status`) ?? "")?.[1];
      if (mask === undefined) return missing(`${proc}/self/status cannot be read`, "mount -t proc proc /proc");
      const held = BigInt(`0x${mask}`);
      const lacking = Object.entries(CAPABILITIES).filter(([, bit]) => ((held >> BigInt(bit)) & 1n) === 0n);
      const who = uid === 0 ? "root" : `uid ${uid}`;
      // What is needed then, another check tries.
      if (uid !== 0) return ok(`${who}, without privileges: rootless, in a user namespace`);
      if (lacking.length === 0) return ok(`${who}, with every capability that is needed`);
      const names = lacking.map(([name]) => name).join(" ");
      return missing(`${who}, without ${names}`, `give this container ${names}`);
    },
  },
];

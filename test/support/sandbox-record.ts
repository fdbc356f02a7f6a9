import type { Digest, SandboxId } from "../../src/model/ids.ts";
import { newSandboxId } from "../../src/model/ids.ts";
import type { Sandbox } from "../../src/model/sandbox.ts";

/** A sandbox as a registry holds it; every field is set that may be. */
export function sandboxRecord(changes: Partial<Sandbox> = {}): Sandbox {
  const id: SandboxId = changes.id ?? newSandboxId();
  return {
    id,
    tenant: "default",
    name: null,
    incarnation: 1,
    state: { kind: "creating" },
    layers: ["busybox"],
    upper: { kind: "tmpfs", bytes: 1_048_576 },
    grafting: { layer: "e".repeat(64) as Digest, points: ["/opt/tool"] },
    saved: 1,
    lineage: null,
    limits: {
      ...{ memoryBytes: 536_870_912, pids: 100, cpus: 0.5, cpuWeight: 200 },
      ...{ openFiles: 1024, fileSizeBytes: 1_073_741_824 },
    },
    unheld: ["cpuWeight"],
    env: { A: "b" },
    ...{ cwd: "/srv", user: "1000:1000", warnings: ["a layer has changed"] },
    hostname: "web-1",
    binds: [{ source: "/srv", target: "/srv", readOnly: true, owner: "root" }],
    idBase: 0x7000_0000,
    seccomp: "default",
    allowPrivilegeEscalation: false,
    createdAt: new Date("2026-01-02T03:04:05.678Z"),
    labels: { team: "red" },
    lifetimeMs: 60_000,
    expiresAt: new Date("2026-01-02T03:05:05.678Z"),
    idleMs: 5000,
    idleCountsCommands: true,
    onExpire: "stop",
    resumeOnDemand: true,
    start: null,
    readyProbe: { kind: "exec", command: ["true"] },
    ready: false,
    ...changes,
  };
}

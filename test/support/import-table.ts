/** Who may import whom in src/; docs/architecture.md says what each folder is for. */
export interface ImportRule {
  /** Folders whose code it may import. */
  readonly code: readonly string[];
  /** Folders of which it may import types alone. */
  readonly types?: readonly string[];
  /** Folders that it may load with `import()` alone. */
  readonly lazy?: readonly string[];
  /** Whether packages and Node's own modules are out of reach, but for types and `import("node:…")`. */
  readonly standsAlone?: boolean;
}

const BELOW_SANDBOX = ["base", "model", "wire", "native", "layers", "seccomp", "snapshots", "egress", "backends"];

export const IMPORT_TABLE: Readonly<Record<string, ImportRule>> = {
  base: { code: [] },
  model: { code: ["base"] },
  wire: { code: ["base", "model"] },
  native: { code: ["base", "model", "wire"] },
  layers: { code: ["base", "model", "native"] },
  seccomp: { code: ["base", "model", "native"] },
  snapshots: { code: ["base", "model", "native", "layers"] },
  egress: { code: ["base", "model", "native"] },
  backends: { code: ["base", "model", "wire", "native"] },
  sandbox: { code: BELOW_SANDBOX },
  builds: { code: ["base", "model", "layers", "snapshots", "sandbox"] },
  access: { code: ["base", "model"] },
  run: { code: ["base", "model", "sandbox"] },
  telemetry: { code: ["base", "model"] },
  api: { code: ["base", "model", "access", "seccomp", "sandbox", "run"] },
  compat: { code: ["base", "model", "sandbox", "run", "api"] },
  client: { code: [], types: ["api", "model"], standsAlone: true },
  fleet: { code: ["base", "model", "client"] },
  mcp: { code: ["model", "client"] },
  daemon: {
    code: [
      ...BELOW_SANDBOX,
      "sandbox",
      "builds",
      "access",
      "run",
      "api",
      "compat",
      "client",
      "fleet",
      "mcp",
      "telemetry",
    ],
  },
  cli: { code: ["client", "model"], types: ["api"], lazy: ["daemon"] },
};

/** Names that say nothing of what a folder or file holds. */
export const VAGUE_NAMES: ReadonlySet<string> = new Set([
  "utils",
  "util",
  "helpers",
  "helper",
  "common",
  "managers",
  "services",
]);

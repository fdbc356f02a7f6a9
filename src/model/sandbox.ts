import type { SandboxId, SandboxName } from "./ids.ts";
import type { Bind } from "./launch-plan.ts";

export interface Limits {
  readonly memoryBytes: number;
  readonly pids: number;
  /** Cores, such as 0.5. */
  readonly cpus: number;
}

const MIB = 1024 ** 2;
const TIB = 1024 ** 4;

/** What a limit may be, both ends included. */
export const LIMIT_BOUNDS = {
  memoryBytes: { min: 4 * MIB, max: TIB },
  pids: { min: 1, max: 4_194_304 },
  cpus: { min: 0.01, max: 1024 },
  /** Of a tmpfs upper. */
  upperBytes: { min: 64 * 1024, max: TIB },
} as const;

export interface UpperSpec {
  readonly kind: "tmpfs" | "disk";
  /** Size limit of a tmpfs upper; `disk` takes none. */
  readonly bytes?: number;
}

/** What a user asks for; every field has a default. */
export interface SandboxSpec {
  /** Whose it is; `default` where nobody says. Never taken from a request's body. */
  readonly tenant?: string;
  readonly name?: SandboxName;
  /** Layer names, bottom first. */
  readonly layers?: readonly string[];
  readonly upper?: UpperSpec;
  readonly limits?: Partial<Limits>;
  readonly env?: Readonly<Record<string, string>>;
  readonly hostname?: string;
  /** Host paths to show inside. Never taken from the HTTP API. */
  readonly binds?: readonly Bind[];
}

/** Where a sandbox is in its life; data exists only where it is true. */
export type SandboxState =
  | { readonly kind: "creating" }
  | { readonly kind: "running"; readonly pid: number; readonly startTime: number }
  | { readonly kind: "stopped"; readonly code: number | null; readonly signal: string | null }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "lost"; readonly reason: string }
  | { readonly kind: "destroyed" };

/** A sandbox as the registry holds it and the API shows it. */
export interface Sandbox {
  readonly id: SandboxId;
  readonly tenant: string;
  readonly name: SandboxName | null;
  readonly incarnation: number;
  readonly state: SandboxState;
  /** Layer names, bottom first. */
  readonly layers: readonly string[];
  readonly upper: UpperSpec;
  readonly limits: Limits;
  readonly env: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly binds: readonly Bind[];
  /** First host id of the sandbox's range of 65,536. */
  readonly idBase: number;
  readonly createdAt: Date;
}

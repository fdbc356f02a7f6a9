import type { SandboxView } from "../../client/index.ts";
import type { Style } from "./style.ts";
import type { Cell } from "./table.ts";

const STYLES: Readonly<Partial<Record<SandboxView["state"]["kind"], Style>>> = {
  running: "green",
  creating: "yellow",
  failed: "red",
  lost: "red",
};

export function stateCell({ kind }: SandboxView["state"]): Cell {
  const style = STYLES[kind];
  return style === undefined ? kind : { text: kind, style };
}

/** The state with what is known of it: `running (pid 4711)`, `failed: no space left`. */
export function describeState(state: SandboxView["state"]): string {
  switch (state.kind) {
    case "running":
      return `running (pid ${state.pid})`;
    case "stopped":
      return `stopped (${state.signal ?? `exit code ${state.code ?? "unknown"}`})`;
    case "failed":
    case "lost":
      return `${state.kind}: ${state.reason}`;
    default:
      return state.kind;
  }
}

import type { SandboxView } from "../../client/index.ts";
import { describeReason } from "../../model/reason.ts";
import type { Style } from "./style.ts";
import type { Cell } from "./table.ts";

const STYLES: Readonly<Partial<Record<SandboxView["state"]["kind"], Style>>> = {
  running: "green",
  creating: "yellow",
  starting: "yellow",
  paused: "yellow",
  stopping: "yellow",
  failed: "red",
  lost: "red",
};

export function stateCell({ kind }: SandboxView["state"]): Cell {
  const style = STYLES[kind];
  return style === undefined ? kind : { text: kind, style };
}

/** The state with what is known of it: `running (pid 4711)`, `stopped: somebody asked for it`. */
export function describeState(state: SandboxView["state"]): string {
  if ("reason" in state) return `${state.kind}: ${describeReason(state.reason)}`;
  return "pid" in state ? `${state.kind} (pid ${state.pid})` : state.kind;
}

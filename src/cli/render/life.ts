import type { SandboxView } from "../../client/index.ts";
import { formatDuration } from "../values/duration.ts";

type Start = NonNullable<SandboxView["start"]>;

/** What a sandbox is labelled with, how long it lives and what runs in it, as far as it was asked for. */
export function describeLife(view: SandboxView): [name: string, value: string][] {
  const { labels, expiresAt, idleMs, idleCountsCommands, onExpire, start, ready } = view;
  const pairs: [string, string][] = [];
  const words = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  if (words.length > 0) pairs.push(["Labels", words.join(" ")]);
  if (expiresAt !== null) pairs.push(["Lives until", `${expiresAt}, then ${onExpire}`]);
  if (idleMs !== null) {
    const counted = idleCountsCommands ? ", commands count" : "";
    pairs.push(["Idle time", `at most ${formatDuration(idleMs)}${counted}, then ${onExpire}`]);
  }
  if (start !== null) pairs.push(["Start", describeStart(start)]);
  if (ready !== null) pairs.push(["Ready", ready ? "yes" : "not yet"]);
  return pairs;
}

function describeStart({ command, restart, restarts, status, lastEnd }: Start): string {
  const line = typeof command === "string" ? command : command.join(" ");
  const last = lastEnd === null ? "" : `, last ${describeEnd(lastEnd)}`;
  return `${line} (${describeStatus(status)}${last}, restart ${restart}, ${restarts} so far)`;
}

function describeStatus(status: Start["status"]): string {
  if (status.kind === "running") return `running as ${status.exec}`;
  return status.kind === "waiting" ? `again in ${formatDuration(status.delayMs)}` : status.kind;
}

function describeEnd(end: NonNullable<Start["lastEnd"]>): string {
  switch (end.kind) {
    case "exited":
      return end.signal ?? `exit code ${end.code}`;
    case "refused":
      return `refused: ${end.message}`;
    case "unseen":
      return "end unseen";
  }
}

import type { CheckpointView, TimelineView } from "../../client/index.ts";
import { formatAge } from "./age.ts";
import type { Paint } from "./style.ts";
import type { Cell } from "./table.ts";
import { renderTable } from "./table.ts";

/** What a checkpoint was made for, in a few words. */
export function causeText({ cause }: Pick<CheckpointView, "cause">): string {
  switch (cause.type) {
    case "asked":
      return "asked for";
    case "exec":
      return `before: ${cause.command.replaceAll(/\s+/g, " ")}`;
    case "fork":
      return "for a fork";
    case "restore":
      return "before a restore";
    case "merge":
      return "before a merge";
    case "merged":
      return "was merged into another";
  }
}

/** Oldest first; the point that the sandbox stands on is marked. */
export function timelineTable({ head, changed, checkpoints }: TimelineView, now: Date, paint: Paint): string {
  const rows = checkpoints.map((checkpoint): readonly Cell[] => [
    checkpoint.id === head ? (changed ? "*" : "@") : "",
    ...cellsOf(checkpoint, now),
  ]);
  return renderTable([{ title: "" }, ...COLUMNS], rows, paint);
}

export function checkpointTable(checkpoints: readonly CheckpointView[], now: Date, paint: Paint): string {
  const rows = checkpoints.map((checkpoint): readonly Cell[] => [checkpoint.sandbox, ...cellsOf(checkpoint, now)]);
  return renderTable([{ title: "SANDBOX" }, ...COLUMNS], rows, paint);
}

const COLUMNS = [
  { title: "CHECKPOINT" },
  { title: "NAME" },
  { title: "AGE", align: "right" },
  { title: "STATE" },
  { title: "MADE" },
] as const;

function cellsOf(checkpoint: CheckpointView, now: Date): readonly Cell[] {
  const { id, name, createdAt, state, packed } = checkpoint;
  const shown = packed === null || packed.inPool ? state : "packed";
  return [id, name ?? "-", formatAge(new Date(createdAt), now), shown, causeText(checkpoint)];
}

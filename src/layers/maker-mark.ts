import { randomBytes } from "node:crypto";
import { isAlive, markOf } from "../base/process-mark.ts";

/** A file name part that says which process made a file: `PID.STARTTIME.BOOT.RANDOM`. Users of one process differ in the last. */
export type MakerMark = string;

const MARK = /(\d+\.\d+\.[0-9a-f]{32})\.[0-9a-f]{16}$/;

export function newMakerMark(): MakerMark {
  return `${markOf(process.pid)}.${randomBytes(8).toString("hex")}`;
}

/** Whether the process whose mark ends `fileName` still runs. A name without a mark is nobody's. */
export function isMakerAlive(fileName: string): boolean {
  const [, mark] = MARK.exec(fileName) ?? [];
  return mark !== undefined && isAlive(mark);
}

import { readText } from "../host-checks/read-text.ts";

/** Ids that a user may map into a namespace. */
export interface SubordinateIds {
  readonly first: number;
  readonly count: number;
}

export interface User {
  readonly uid: number;
  /** Undefined for one without an account. */
  readonly name: string | undefined;
}

/** The largest range that a file such as /etc/subuid, with lines `user:first:count`, allots to a user. */
export function allotted(file: string, { uid, name }: User): SubordinateIds | undefined {
  const ranges = (readText(file) ?? "").split("\n").flatMap((line): SubordinateIds[] => {
    const [owner = "", first, count] = line.trim().split(":");
    const isTheirs = owner === String(uid) || (owner !== "" && owner === name);
    const range = { first: Number(first), count: Number(count) };
    return isTheirs && range.first > 0 && range.count > 0 ? [range] : [];
  });
  return ranges.sort((a, b) => b.count - a.count)[0];
}

/** The name of a uid in a file such as /etc/passwd. */
export function nameOf(passwd: string, uid: number): string | undefined {
  const line = (readText(passwd) ?? "").split("\n").find((entry) => entry.split(":")[2] === String(uid));
  return line?.split(":")[0];
}

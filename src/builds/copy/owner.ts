import { invalid, quoted, unsupported } from "../dockerfile/refuse.ts";
import type { Ownership } from "./copied.ts";

/** Where names of owners are looked up. */
export interface Accounts {
  passwd(): Promise<string>;
  group(): Promise<string>;
}

const HIGHEST_ID = 65_535;

/**
 * Whose `--chown` means: `USER`, or `USER:GROUP`, by name or id. A user by name alone brings its own group, an id the group
 * of the same number.
 * @throws PlyboxError `build/invalid`
 */
export async function parseOwner(
  text: string,
  accounts: Accounts,
  line: number,
): Promise<NonNullable<Ownership["owner"]>> {
  const [user = "", group, ...more] = text.split(":");
  if (user === "" || group === "" || more.length > 0) throw invalid(line, `${quoted(text)} is no USER or USER:GROUP`);
  const account = isId(user) ? undefined : lineOf(await accounts.passwd(), user);
  if (!isId(user) && account === undefined) throw invalid(line, `there is no user ${quoted(user)}`);
  const uid = idOf(account?.[2] ?? user, line);
  if (group === undefined) return { uid, gid: account === undefined ? uid : idOf(account[3] ?? "", line) };
  const named = isId(group) ? undefined : lineOf(await accounts.group(), group);
  if (!isId(group) && named === undefined) throw invalid(line, `there is no group ${quoted(group)}`);
  return { uid, gid: idOf(named?.[2] ?? group, line) };
}

/** @throws PlyboxError `build/invalid`, `build/unsupported` for the letters that other builders know */
export function parseMode(text: string, line: number): number {
  if (/^[0-7]{3,4}$/.test(text)) return Number.parseInt(text, 8);
  if (/[ugoa]*[-+=]/.test(text)) throw unsupported(line, `the mode ${quoted(text)} is not in octal digits`);
  throw invalid(line, `${quoted(text)} is no mode`);
}

const isId = (text: string): boolean => /^\d{1,10}$/.test(text);

function idOf(text: string, line: number): number {
  const id = Number(text);
  if (isId(text) && id <= HIGHEST_ID) return id;
  throw invalid(line, `${quoted(text)} is no id from 0 to ${HIGHEST_ID}`);
}

const lineOf = (text: string, name: string): readonly string[] | undefined =>
  text
    .split("\n")
    .map((each) => each.split(":"))
    .find(([first]) => first === name);

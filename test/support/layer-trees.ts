import { mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { PlyboxError } from "../../src/model/errors.ts";

/** A directory below `root` that is the same, times included, whenever it is made with the same content. */
export function makeTreeIn(root: string, name: string, content: string): string {
  const tree = join(root, name);
  mkdirSync(join(tree, "etc"), { recursive: true });
  writeFileSync(join(tree, "etc", "greeting"), content);
  for (const path of ["etc/greeting", "etc", "."]) utimesSync(join(tree, path), 1_000_000, 1_000_000);
  return tree;
}

/** Everything in a store but its two indexes. */
export const storedIn = (store: string): string[] =>
  readdirSync(store).filter((file) => file !== "names" && file !== "pins");

/** What a promise that must not resolve rejects with. */
export const refused = (promise: Promise<unknown>): Promise<PlyboxError> =>
  promise.then(
    () => expect.fail("it was not refused"),
    (error) => error,
  );

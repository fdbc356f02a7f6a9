import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { idsFromZero, readRealm } from "./realm.ts";

let proc: string;
beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), "plybox-realm-"));
  mkdirSync(join(proc, "self"));
});
afterEach(() => rmSync(proc, { recursive: true }));

function mapped(uids: string, gids: string): string {
  writeFileSync(join(proc, "self/uid_map"), uids);
  writeFileSync(join(proc, "self/gid_map"), gids);
  return proc;
}

const ALL = "         0          0 4294967295\n";
const ONE = "         0       1000          1\n";
const MANY = `${ONE}         1     100000      65536\n`;

it("is the machine where every id is what it is", () => {
  expect(readRealm(mapped(ALL, ALL))).toEqual({ kind: "machine" });
});

it.each([
  ["a single id", ONE, ONE, 1],
  ["as many as a sandbox has", MANY, MANY, 65_536],
  ["as many as both maps have", MANY, `${ONE}1 100000 99\n`, 100],
  ["one where the groups have no more", MANY, ONE, 1],
])("is a namespace with %s", (_what, uids, gids, ids) => {
  expect(readRealm(mapped(uids, gids))).toEqual({ kind: "namespace", ids });
});

it.each([
  ["0 5 1\n1 100 10\n", 11],
  ["1 100 10\n0 5 1\n", 11],
  ["0 5 1\n2 100 10\n", 1],
  ["1 100 10\n", 0],
  ["", 0],
])("counts the ids from 0 on of %j", (map, count) => {
  expect(idsFromZero(map)).toBe(count);
});

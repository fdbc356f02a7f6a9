import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeFileAtomically } from "./atomic-file.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "plybox-atomic-"));
});
afterEach(() => rm(directory, { recursive: true }));

test("replaces the content and leaves nothing beside it", async () => {
  const path = join(directory, "manifest.json");
  await writeFile(path, "old, and longer than the new one");
  await writeFileAtomically(path, "new");
  expect(await readFile(path, "utf8")).toBe("new");
  expect(await readdir(directory)).toEqual(["manifest.json"]);
});

test("gives the asked mode, also to a file that had another and under any umask", async () => {
  const path = join(directory, "token");
  await writeFile(path, "", { mode: 0o600 });
  await writeFileAtomically(path, Uint8Array.of(0, 255), 0o666);
  expect((await stat(path)).mode & 0o777).toBe(0o666);
  await writeFileAtomically(path, Uint8Array.of(0, 255), 0o600);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect([...(await readFile(path))]).toEqual([0, 255]);
});

test("a failure leaves the target as it was and no temporary file", async () => {
  const target = join(directory, "taken");
  await mkdir(join(target, "child"), { recursive: true });
  await expect(writeFileAtomically(target, "x")).rejects.toThrow();
  expect(await readdir(directory)).toEqual(["taken"]);
});

test("writers of one path at once leave one writer's whole content", async () => {
  const path = join(directory, "contended");
  const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(100_000));
  await Promise.all(contents.map((content) => writeFileAtomically(path, content)));
  expect(contents).toContain(await readFile(path, "utf8"));
  expect(await readdir(directory)).toEqual(["contended"]);
});

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { list } from "tar";
import { afterAll, beforeAll, expect, it } from "vitest";
import { archiveDirectory } from "./directory-context.ts";

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "plybox-context-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function namesIn(context: string): Promise<string[]> {
  const names: string[] = [];
  const parser = list({ onReadEntry: (entry) => void names.push(entry.path) });
  await pipeline(Readable.from(archiveDirectory(context, "left-out", "")), parser as unknown as NodeJS.WritableStream);
  return names.sort();
}

it("a context has files, directories and links, and nothing that no instruction copies", async () => {
  const context = join(directory, "mixed");
  mkdirSync(join(context, "below"), { recursive: true });
  writeFileSync(join(context, "below/file"), "text");
  writeFileSync(join(context, "left-out"), "text");
  symlinkSync("below/file", join(context, "link"));
  execFileSync("mkfifo", [join(context, "below/fifo")]);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(join(context, "socket"), resolve));
  try {
    expect(await namesIn(context)).toEqual(["./", "./below/", "./below/file", "./link"]);
  } finally {
    server.close();
  }
});

it("a context that is not there is refused", async () => {
  await expect(namesIn(join(directory, "nothing"))).rejects.toMatchObject({ code: "input/invalid", field: "context" });
});

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileReference, runProgram } from "./programs.ts";
import { ReferenceDriver } from "./reference-driver.ts";

let directory: string;
let reference: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "plybox-bench-"));
  reference = await compileReference(directory);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe("the reference driver", () => {
  test("measures each run, the end later than the entry", async () => {
    await using driver = new ReferenceDriver([reference, "spawn", "/bin/sleep", "0.02"]);
    const entered = await driver.run("exec", 3);
    const ended = await driver.run("exit", 3);
    expect(entered).toHaveLength(3);
    for (const ms of entered) expect(ms).toBeGreaterThan(0);
    for (const ms of ended) expect(ms).toBeGreaterThan(20);
  });

  test("runs the programs of a burst at the same time", async () => {
    // The first one ends when it hears of the second one.
    const meet = 'if mkdir "$0/first"; then read line < "$0/pipe"; else echo > "$0/pipe"; fi 2> /dev/null';
    await runProgram("/usr/bin/mkfifo", [join(directory, "pipe")]);
    await using driver = new ReferenceDriver([reference, "spawn", "/bin/sh", "-c", meet, directory]);
    const ended = await driver.burst(2);
    expect(ended).toHaveLength(2);
    for (const ms of ended) expect(ms).toBeGreaterThan(0);
  });

  test("holds programs that are ready, and ends them", async () => {
    await using driver = new ReferenceDriver([reference, "spawn", "/bin/sh", "-c", "echo; exec sleep 1000"]);
    const pids = [...(await driver.hold(2)), ...(await driver.hold(1))];
    expect(new Set(pids).size).toBe(3);
    for (const pid of pids) expect(existsSync(`/proc/${pid}`)).toBe(true);
    await driver.release();
    for (const pid of pids) expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test("ends what it holds with itself", async () => {
    const driver = new ReferenceDriver([reference, "spawn", "/bin/sh", "-c", "echo; exec sleep 1000"]);
    const [pid] = await driver.hold(1);
    await driver[Symbol.asyncDispose]();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });

  test.each([
    ["a program that fails", ["/bin/false"], "exited with 1"],
    ["what it writes", ["/bin/sh", "-c", "echo no luck >&2; exit 3"], "no luck"],
    ["a program that is not there", ["/no/such/program"], "No such file or directory"],
    ["a program that is killed", ["/bin/sh", "-c", "kill -9 $$"], "killed by signal 9"],
  ])("reports %s, and goes on", async (_, program, message) => {
    await using driver = new ReferenceDriver([reference, "spawn", ...program]);
    await expect(driver.run("exit")).rejects.toThrow(message);
    await expect(driver.run("exec")).rejects.toThrow();
    await expect(driver.burst(2)).rejects.toThrow();
  });

  test("reports a program that ends before it is ready to be held", async () => {
    await using driver = new ReferenceDriver([reference, "spawn", "/bin/true"]);
    await expect(driver.hold(1)).rejects.toThrow("wrote nothing");
    expect(await driver.run("exit")).toHaveLength(1);
  });

  test("fails what waits when it ends itself", async () => {
    await using driver = new ReferenceDriver(["/bin/sh", "-c", "read line; echo broken >&2; exit 4"]);
    await expect(driver.run("exit")).rejects.toThrow(/ended with 4\nbroken/);
    await expect(driver.run("exit")).rejects.toThrow("ended with 4");
  });

  test("fails when it cannot be started", async () => {
    const driver = new ReferenceDriver(["/no/such/program"]);
    await expect(driver.run("exit")).rejects.toThrow("ENOENT");
    await driver[Symbol.asyncDispose]();
  });
});

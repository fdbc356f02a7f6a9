import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import { BuiltCli } from "../support/built-cli.ts";
import { end, killLauncher, serve } from "../support/daemon-process.ts";
import { seededRandom } from "../support/seeded-random.ts";

const CLIENT = fileURLToPath(new URL("../support/exec-client.mjs", import.meta.url));
const MODULE = fileURLToPath(new URL("../../dist/client/index.js", import.meta.url));
const SEED = Number(process.env.PLYBOX_SEED ?? Date.now() % 1_000_000);

let cli: BuiltCli;
let daemon: ChildProcess;
let client: Plybox;

beforeAll(async () => {
  cli = await BuiltCli.make();
  daemon = await serve(cli);
  client = new Plybox({ socketPath: socketPath() });
});
afterAll(async () => {
  await Promise.all((await client.list()).map((sandbox) => sandbox.remove()));
  client.close();
  await end(daemon, "SIGTERM");
  cli[Symbol.dispose]();
});

const socketPath = (): string => join(cli.directory, "run/plybox.sock");

const rssBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;

interface Told {
  readonly key: string;
  /** With a NUL for each byte that is told to be lost. */
  readonly text: string;
  readonly stdoutBytes: number;
  readonly exitCode: number | null;
}

/** Clients that share keys out among them; a killed one's keys that it has not told of go to the next. */
class Clients {
  readonly told = new Map<string, Told>();
  /** Resolves when all keys have been told of. */
  readonly done: Promise<unknown>;
  readonly #running = new Set<ChildProcess>();
  readonly #sandbox: string;

  constructor(sandbox: string, shares: readonly (readonly string[])[]) {
    this.#sandbox = sandbox;
    this.done = Promise.all(shares.map((keys) => this.#run(keys)));
  }

  kill(random: () => number): void {
    const running = [...this.#running];
    running[Math.floor(random() * running.length)]?.kill("SIGKILL");
  }

  async #run(keys: readonly string[]): Promise<void> {
    for (;;) {
      const left = keys.filter((key) => !this.told.has(key));
      if (left.length === 0) return;
      const child = spawn(process.execPath, [CLIENT, MODULE, socketPath(), this.#sandbox, ...left], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      this.#running.add(child);
      createInterface(child.stdout).on("line", (line) => {
        const told = JSON.parse(line) as Told;
        this.told.set(told.key, told);
      });
      const [code] = (await once(child, "close")) as [number | null];
      this.#running.delete(child);
      // A client that gave up by itself has been told something that it should not have been told.
      if (code !== null && code !== 0) throw new Error(`a client failed with ${code}`);
    }
  }
}

describe("streamed commands", () => {
  it("lose no byte in silence and start once, whoever is killed meanwhile", async () => {
    process.stdout.write(`seed ${SEED}; PLYBOX_SEED=${SEED} repeats it\n`);
    const random = seededRandom(SEED);
    const sandbox = await client.create({});
    const keys: string[] = [];
    const told = new Map<string, Told>();
    const kills = { client: 0, daemon: 0, launcher: 0 };
    // Each in its turn, in an order of chance.
    const bag: (keyof typeof kills)[] = [];
    const killOne = async (clients: Clients): Promise<void> => {
      if (bag.length === 0) bag.push("client", "daemon", "launcher");
      const [victim = "client"] = bag.splice(Math.floor(random() * bag.length), 1);
      kills[victim] += 1;
      if (victim === "client") clients.kill(random);
      else if (victim === "launcher") killLauncher(daemon);
      else {
        await end(daemon, "SIGKILL");
        daemon = await serve(cli);
      }
    };
    // However fast the clients are: until each of the three has been killed among them.
    while (keys.length < 500 || Math.min(...Object.values(kills)) === 0) {
      const more = Array.from({ length: 250 }, (_, i) => `k${keys.length + i}`);
      keys.push(...more);
      const clients = new Clients(
        sandbox.id,
        [0, 1, 2, 3].map((share) => more.filter((_, index) => index % 4 === share)),
      );
      let isDone = false;
      const finished = clients.done.finally(() => {
        isDone = true;
      });
      while (!isDone) {
        await Promise.race([delay(100 + random() * 700), finished]);
        if (!isDone) await killOne(clients);
      }
      await finished;
      for (const [key, one] of clients.told) told.set(key, one);
    }
    process.stdout.write(`killed ${JSON.stringify(kills)}\n`);

    for (const key of keys) {
      const whole = [1, 2, 3, 4, 5, 6].map((i) => `${key} ${i}\n`).join("");
      const { text, stdoutBytes, exitCode } = told.get(key) as Told;
      // Of a command that its agent has forgotten meanwhile the end may be lost, which is told too.
      const filled = text.replace(/\0/g, (_, at: number) => whole[at] ?? "?");
      expect({ key, exitCode, stdoutBytes, text: filled }).toEqual({
        ...{ key, exitCode: 0, stdoutBytes: whole.length, text: whole },
      });
    }
    const starts = (await sandbox.exec(["cat", "/tmp/starts"])).stdout.trim().split("\n");
    expect(starts.sort()).toEqual([...keys].sort());
    await sandbox.remove();
  });

  it("run by the hundred at once, each with its own output", async () => {
    const sandbox = await client.create({});
    const line = (i: number): string => `for n in 1 2 3; do echo ${i} $n; read x; done`;
    const running = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => await sandbox.spawn(line(i), { stdin: true })),
    );
    // All of them run before any is let go on.
    const texts = await Promise.all(
      running.map(async (command) => {
        await command.write("\n\n\n");
        let text = "";
        for await (const event of command) if (event.kind === "output") text += Buffer.from(event.bytes).toString();
        return text;
      }),
    );
    expect(texts).toEqual(Array.from({ length: 200 }, (_, i) => `${i} 1\n${i} 2\n${i} 3\n`));
    await sandbox.remove();
  });

  it("that are not read hold back themselves alone, and nobody's memory grows", async () => {
    const sandbox: Sandbox = await client.create({});
    await sandbox.exec(["true"]);
    const pid = daemon.pid as number;
    const before = rssBytes(pid);
    const endless = await Promise.all(Array.from({ length: 8 }, () => sandbox.spawn(["cat", "/dev/zero"])));
    for (const command of endless) for await (const event of command) if (event.kind === "output") break;
    // Others pass them by all the while.
    for (let i = 0; i < 200; i++) expect((await sandbox.exec(["echo", `${i}`])).stdout).toBe(`${i}\n`);
    // What nobody holds back has written gigabytes by now.
    const written = (await sandbox.execs({ running: true })).map((each) => each.stdoutBytes ?? 0);
    expect(written).toHaveLength(8);
    expect(Math.max(...written)).toBeLessThan(32 * 1024 ** 2);
    expect(rssBytes(pid) - before).toBeLessThan(64 * 1024 ** 2);
    await Promise.all(endless.map((command) => command.kill("SIGKILL")));
    await sandbox.remove();
  });
});

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SandboxEvent } from "../../src/client/index.ts";
import { runCli } from "../support/cli-context.ts";
import { Receiver } from "../support/receiver.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const MIB = 1024 ** 2;

let daemon: TestDaemon;
beforeAll(async () => {
  daemon = new TestDaemon({ PLYBOX_SNAPSHOT_MEMORY: "1G", PLYBOX_PRESSURE_HIGH: "60", PLYBOX_PRESSURE_CRITICAL: "90" });
  await daemon.start({ pressureEveryMs: 20 });
});
afterAll(() => daemon[Symbol.asyncDispose]());

type Told = Extract<SandboxEvent, { type: "storage.pressure" }>;

/** What is told of one sandbox, until it has come to a level. */
async function toldUntil(sandbox: string, level: string): Promise<readonly Told[]> {
  const told: Told[] = [];
  for await (const event of daemon.client.events({ after: 0, sandbox, types: ["storage.pressure"] })) {
    if (event.type === "storage.pressure") told.push(event);
    if (told.at(-1)?.data.level === level) break;
  }
  return told;
}

describe("pressure", () => {
  it.each([
    ["an upper in memory", { kind: "tmpfs", bytes: 32 * MIB }],
    ["an upper in an image", { kind: "disk", bytes: 64 * MIB }],
    ["an upper with snapshots", { kind: "tmpfs", bytes: 32 * MIB, snapshots: true }],
  ] as const)("of %s is told as it rises and falls", async (_, upper) => {
    await using sandbox = await daemon.client.create({ layers: ["busybox"], upper });
    const write = (name: string, share: number) =>
      sandbox.exec(`head -c ${Math.floor(upper.bytes * share)} /dev/zero > /${name} && sync`);
    await write("one", 0.65);
    const [first] = await toldUntil(sandbox.id, "high");
    expect(first?.data.storage).toBe("upper");
    // A file system of its own holds less than its size.
    expect(first?.data.totalBytes).toBeGreaterThan(0.8 * upper.bytes);
    expect(first?.data.totalBytes).toBeLessThanOrEqual(upper.bytes);
    expect(first?.data.usedBytes).toBeGreaterThanOrEqual(0.6 * (first?.data.totalBytes ?? 0));
    await write("two", 0.27);
    await toldUntil(sandbox.id, "critical");
    await sandbox.exec("rm /one /two && sync");
    const told = await toldUntil(sandbox.id, "normal");
    const levels = told.map(({ data }) => data.level);
    // Room may come back bit by bit.
    expect([["high", "critical", "normal"].join(), ["high", "critical", "high", "normal"].join()]).toContain(
      levels.join(),
    );
  });

  it("of what all share is told as an event of no sandbox, also to webhooks", async () => {
    const settings = { PLYBOX_SNAPSHOT_MEMORY: "256M", PLYBOX_PRESSURE_HIGH: "20", PLYBOX_PRESSURE_CRITICAL: "100" };
    await using full = new TestDaemon(settings);
    await using receiver = await Receiver.start();
    await full.start({ pressureEveryMs: 20 });
    await full.client.webhooks.create({ url: receiver.url, types: ["storage.*"] });
    await using sandbox = await full.client.create({ layers: ["busybox"], upper: { kind: "tmpfs", snapshots: true } });
    await sandbox.exec(`head -c ${80 * MIB} /dev/urandom > /file; sync`);
    const sent = () => receiver.requests.map(({ body }) => JSON.parse(body));
    const isPool = ({ data }: Told): boolean => data.storage === "memory-pool";
    await receiver.until(() => sent().some(isPool));
    expect(sent().find(isPool)).toMatchObject({
      ...{ type: "storage.pressure", sandbox: null, name: null, labels: {} },
      data: { storage: "memory-pool", level: "high", totalBytes: expect.any(Number) },
    });
  });
});

describe("df", () => {
  it("tells what sandboxes have written, with their checkpoints, and how full pools are", async () => {
    const snapshots = { kind: "tmpfs", bytes: 64 * MIB, snapshots: true } as const;
    await using pooled = await daemon.client.create({ name: "pooled", layers: ["busybox"], upper: snapshots });
    await using plain = await daemon.client.create({ name: "plain", layers: ["busybox"] });
    for (const each of [pooled, plain]) await each.exec(`head -c ${8 * MIB} /dev/urandom > /file; sync`);
    const { checkpoint } = await pooled.checkpoint();
    await pooled.exec("rm /file && sync");
    await plain.stop();
    const { uppers, upperBytes, pools } = await daemon.client.storage.usage();
    const [one, other] = [pooled, plain].map(({ id }) => uppers.find(({ sandbox }) => sandbox === id));
    // What a checkpoint holds on to counts.
    expect(one).toMatchObject({ kind: "tmpfs", limitBytes: 64 * MIB, checkpoints: 1 });
    expect(one?.usedBytes).toBeGreaterThanOrEqual(8 * MIB);
    expect(one?.usedBytes).toBeLessThan(9 * MIB);
    expect(other).toMatchObject({ kind: "tmpfs", checkpoints: 0 });
    expect(other?.usedBytes).toBeGreaterThanOrEqual(8 * MIB);
    expect(upperBytes).toBe(uppers.reduce((sum, { usedBytes }) => sum + (usedBytes ?? 0), 0));
    expect(pools).toEqual([{ medium: "memory", usedBytes: expect.any(Number), totalBytes: expect.any(Number) }]);
    const { upperBytes: sampled } = await pooled.usage();
    expect(sampled).toBe(one?.usedBytes);
    const { stdout } = await runCli(["df", "--socket", daemon.config.socket]);
    expect(stdout).toMatch(/^pooled +8M +64M +tmpfs +1$/m);
    expect(stdout).toMatch(/^Pool, memory +[\d.]+\w of [\d.]+M$/m);
    await daemon.client.checkpoints.remove(checkpoint.id);
  });
});

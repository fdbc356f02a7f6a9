import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runCli } from "../support/cli-context.ts";
import type { Received } from "../support/receiver.ts";
import { Receiver } from "../support/receiver.ts";
import { TestDaemon } from "../support/test-daemon.ts";

const SOON = { webhooks: { retryMs: 10, maxRetryMs: 50 } };
let daemon: TestDaemon;
let receiver: Receiver;

beforeEach(async () => {
  daemon = new TestDaemon();
  await daemon.start(SOON);
  receiver = await Receiver.start();
});
afterEach(async () => {
  await daemon[Symbol.asyncDispose]();
  await receiver[Symbol.asyncDispose]();
});

const cli = (...args: readonly string[]) => runCli(["webhook", ...args, "--socket", daemon.config.socket]);
const idOf = ({ body }: Received): number => (JSON.parse(body) as { id: number }).id;

function signatureOf({ headers, body }: Received, secret: string): string {
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  return `v1,${createHmac("sha256", key).update(signed).digest("base64")}`;
}

describe("a receiver", () => {
  it("gets every event, in order and signed, while it fails, recovers, and the daemon starts anew", async () => {
    const { secret } = await daemon.client.webhooks.create({ url: receiver.url, types: ["sandbox.state"] });
    let fails = false;
    // Every third one is taken and not acknowledged: what the receiver did, the daemon cannot know.
    receiver.respond = (_request, response) => {
      const isLost = receiver.requests.length % 3 === 0;
      response.writeHead(fails || isLost ? 503 : 204).end();
    };
    const lives = async (count: number) => {
      for (let i = 0; i < count; i++) await (await daemon.client.create({ layers: ["busybox"] })).remove();
    };
    await lives(3);
    fails = true;
    await lives(3);
    await daemon.restart(SOON);
    await lives(2);
    fails = false;
    await daemon.restart(SOON);
    await lives(1);
    const { events } = await daemon.client.pastEvents({ types: ["sandbox.state"], limit: 1000 });
    const expected = events.map(({ id }) => id);
    expect(expected.length).toBeGreaterThanOrEqual(18);
    await receiver.until(() => receiver.requests.some((request) => idOf(request) === expected.at(-1)));
    const got = receiver.requests.map(idOf);
    // Each again until it is acknowledged, and then the next one.
    expect(got.filter((id, index) => id !== got[index - 1])).toEqual(expected);
    for (const request of receiver.requests) {
      expect(request.headers["webhook-signature"]).toBe(signatureOf(request, secret));
    }
    const [webhook] = await daemon.client.webhooks.list();
    await expect.poll(async () => (await daemon.client.webhooks.get(webhook?.id ?? "")).state).toBe("active");
  });
});

describe("plybox webhook", () => {
  it("adds, lists, tests, enables and removes", async () => {
    const added = await cli("add", receiver.url, "--type", "sandbox.*", "--type", "exec.ended", "--label", "team=a");
    const [id = "", secret = ""] = added.stdout.split("\n");
    expect(secret).toMatch(/^whsec_/);
    const { stdout: table } = await cli("ls");
    expect(table).toMatch(new RegExp(`^${id} +active +\\d+ +0 +sandbox\\.\\*,exec\\.ended +${receiver.url} +-$`, "m"));
    expect(table).not.toContain(secret);
    expect(await cli("test", id)).toMatchObject({ exitCode: 0, stdout: "HTTP 204\n" });
    expect(signatureOf(receiver.requests[0] as Received, secret)).toBe(
      receiver.requests[0]?.headers["webhook-signature"],
    );
    receiver.respond = (_request, response) => response.writeHead(500).end();
    expect(await cli("test", id)).toMatchObject({ exitCode: 125, stderr: "plybox: HTTP 500\n" });
    expect(await cli("enable", id)).toMatchObject({ exitCode: 0, stdout: "active\n" });
    expect(await cli("rm", id)).toMatchObject({ exitCode: 0, stdout: `${id}\n` });
    expect(JSON.parse((await cli("ls", "--json")).stdout)).toEqual([]);
    expect(await cli("rm", id)).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("webhook/not-found") });
  });

  it("takes a secret from a file, and refuses what is none", async () => {
    const file = join(daemon.directory, "secret");
    writeFileSync(file, `whsec_${"B".repeat(40)}\n`);
    const { stdout } = await cli("add", receiver.url, "--secret-file", file, "--json");
    expect(JSON.parse(stdout)).toMatchObject({ secret: `whsec_${"B".repeat(40)}`, types: null });
    writeFileSync(file, "hunter2");
    const refused = await cli("add", receiver.url, "--secret-file", file);
    expect(refused).toMatchObject({ exitCode: 125, stderr: expect.stringContaining("input/invalid") });
    expect(await cli("add", receiver.url, "--type", "nonsense")).toMatchObject({ exitCode: 125 });
  });
});

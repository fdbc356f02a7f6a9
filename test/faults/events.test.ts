import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { SandboxEvent } from "../../src/client/index.ts";
import { Plybox } from "../../src/client/index.ts";
import { BuiltCli } from "../support/built-cli.ts";
import { Receiver } from "../support/receiver.ts";

let cli: BuiltCli;
let daemon: ChildProcess;
let client: Plybox;
let receiver: Receiver;

beforeEach(async () => {
  cli = await BuiltCli.make();
  receiver = await Receiver.start();
  client = new Plybox({ socketPath: join(cli.directory, "run/plybox.sock") });
  daemon = await serve();
});
afterEach(async () => {
  await Promise.all((await client.list()).map((sandbox) => sandbox.remove()));
  client.close();
  await end("SIGTERM");
  await receiver[Symbol.asyncDispose]();
  cli[Symbol.dispose]();
});

async function serve(): Promise<ChildProcess> {
  const child = cli.start(["serve"]);
  child.stderr.resume();
  await once(createInterface(child.stdout), "line");
  return child;
}

async function end(signal: NodeJS.Signals): Promise<void> {
  const closed = once(daemon, "close");
  daemon.kill(signal);
  await closed;
}

const KILLS = 6;

it("of a daemon that is killed again and again no reader and no receiver misses an event, or gets one id twice", async () => {
  await client.webhooks.create({ url: receiver.url });
  const seen: SandboxEvent[] = [];
  const abort = new AbortController();
  const following = (async () => {
    for await (const event of client.events({ after: 0, signal: abort.signal })) {
      if (event.type === "gap") throw new Error(`events ${event.from} to ${event.to} are gone`);
      seen.push(event);
    }
  })().catch((error: unknown) => error);
  for (let kill = 0; kill < KILLS; kill++) {
    // Killed at another moment of this each time.
    const work = Promise.allSettled(Array.from({ length: 4 }, () => client.create({ layers: ["busybox"] })));
    await new Promise((resolve) => setTimeout(resolve, 7 * kill));
    await end("SIGKILL");
    await work;
    daemon = await serve();
  }
  const last = await client.create({ layers: ["busybox"] });
  await last.remove();
  const { events } = await client.pastEvents({ limit: 1000 });
  const expected = events.map(({ id }) => id);
  expect(expected).toEqual(expected.map((_, index) => index + 1));
  const newest = expected.at(-1) ?? 0;
  await receiver.until(() => receiver.requests.some(({ body }) => JSON.parse(body).id === newest));
  const received = receiver.requests.map(({ body }) => JSON.parse(body) as SandboxEvent);
  expect(received.filter(({ id }, index) => id !== received[index - 1]?.id)).toEqual(events);
  while (seen.at(-1)?.id !== newest) await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual(events);
  abort.abort();
  await following;
});

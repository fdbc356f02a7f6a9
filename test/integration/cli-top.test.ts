import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { TestDaemon } from "../support/test-daemon.ts";
import { Tmux } from "../support/tmux.ts";

const MAIN = join(import.meta.dirname, "../../dist/cli/main.js");
let daemon: TestDaemon;
let terminal: Tmux;

beforeAll(async () => {
  daemon = new TestDaemon();
  await daemon.start();
  const idle = await daemon.client.create({ name: "idle", layers: ["busybox"] });
  const busy = await daemon.client.create({ name: "busy", layers: ["busybox"], limits: { cpus: 0.5 } });
  await idle.detach(["sleep", "600"]);
  await busy.detach("while :; do :; done");
});
afterAll(() => daemon[Symbol.asyncDispose]());
beforeEach(async () => {
  terminal = await Tmux.start({ PATH: process.env.PATH, PLYBOX_SOCKET: daemon.config.socket });
});
afterEach(() => terminal[Symbol.asyncDispose]());

const plybox = (line: string) => terminal.line(`${process.execPath} ${MAIN} ${line}`);
/** Whether what is typed is shown and lines end, as before. */
async function usable(): Promise<void> {
  await terminal.line("echo still'-'usable");
  await terminal.see(/outside\$ echo still'-'usable\nstill-usable\noutside\$/);
}

describe("plybox top on a terminal", () => {
  it("shows the busiest sandbox first, anew and anew, until q, which leaves the terminal as it was", async () => {
    await terminal.line("echo before");
    await plybox("top --interval 100ms");
    const screen = await terminal.see(/^busy +[1-9]\d*\.\d%/m);
    const lines = screen.split("\n");
    expect(lines[0]).toMatch(/^NAME +CPU +MEMORY/);
    expect(lines[1]).toMatch(/^busy /);
    expect(lines[2]).toMatch(/^idle +0\.\d%/);
    expect(screen).not.toContain("before");
    await daemon.client.create({ name: "later", layers: ["busybox"] });
    await terminal.see(/^later /m);
    await terminal.press("q");
    expect(await terminal.see(/^before$/m)).not.toMatch(/^busy/m);
    await usable();
  });

  it("shows the processes of one sandbox, cut at the terminal's width, until Ctrl-C", async () => {
    await terminal.resize(40, 10);
    await plybox("top busy --interval 100ms");
    const screen = await terminal.see(/^ *\d+ +root +[1-9]\d*\.\d%/m);
    for (const line of screen.split("\n")) expect(line.length).toBeLessThanOrEqual(40);
    await terminal.press("C-c");
    await terminal.see(/outside\$ *\n*$/);
    await usable();
  });

  it("gives the terminal back when the sandbox goes away", async () => {
    const short = await daemon.client.create({ name: "short", layers: ["busybox"] });
    await plybox("top short --interval 100ms");
    await terminal.see(/plyagent/);
    await short.remove();
    await terminal.see(/plybox: .*sandbox\/not-found/);
    await usable();
  });
});

describe("plybox stats --watch on a terminal", () => {
  it("goes on in place until Ctrl-C, and leaves the terminal as it was", async () => {
    await plybox("stats --watch --interval 100ms busy; echo exit=$?");
    const screen = await terminal.see(/^busy +[1-9]\d*\.\d%/m);
    expect(screen.match(/^NAME/gm)).toHaveLength(1);
    await terminal.press("C-c");
    await terminal.see(/^exit=130$/m);
    await usable();
  });
});

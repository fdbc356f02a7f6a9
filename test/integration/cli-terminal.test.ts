import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { BuiltCli } from "../support/built-cli.ts";
import { Tmux } from "../support/tmux.ts";
import { processesWith } from "../support/traces.ts";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

let plybox: BuiltCli;
let daemon: ChildProcess;
let terminal: Tmux;

beforeAll(async () => {
  plybox = await BuiltCli.make();
  daemon = await serve();
  await plybox.run(["create", "box"]);
});

afterAll(async () => {
  await plybox.run(["rm", "box"]);
  const closed = once(daemon, "close");
  daemon.kill("SIGTERM");
  await closed;
  plybox[Symbol.dispose]();
});

beforeEach(async () => {
  // What a person has on the PATH.
  const bin = join(plybox.directory, "plybox");
  writeFileSync(bin, `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`, { mode: 0o755 });
  terminal = await Tmux.start({ ...plybox.env, PATH: `${plybox.directory}:${process.env.PATH}` });
});

afterEach(async () => {
  await terminal[Symbol.asyncDispose]();
});

async function serve(): Promise<ChildProcess> {
  const child = plybox.start(["serve"]);
  child.stderr.resume();
  await once(createInterface(child.stdout), "line");
  return child;
}

/** Runs what is done inside between two looks at how our terminal is set: they must be the same. */
async function leavesTheTerminalAsItWas(inside: () => Promise<void>): Promise<void> {
  await terminal.line("clear; stty -g | md5sum");
  const [before] = /^[0-9a-f]{32}/m.exec(await terminal.see(/^[0-9a-f]{32} /m)) ?? [];
  await terminal.line("clear");
  await terminal.see(/^outside\$$/m);
  await inside();
  await terminal.see(/^outside\$$/m);
  await terminal.line("clear; stty -g | md5sum");
  const [after] = /^[0-9a-f]{32}/m.exec(await terminal.see(/^[0-9a-f]{32} /m)) ?? [];
  expect(after).toBe(before);
}

/** Of the processes of this command line, as the kernel calls them: "S" sleeps, "T" is stopped. */
const statesOf = (command: string): readonly string[] =>
  processesWith(command)
    .filter((pid) => readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n")
    .map((pid) => /^State:\t(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "");

describe("plybox shell", () => {
  it("is a shell inside, whose exit code is ours", async () => {
    await leavesTheTerminalAsItWas(async () => {
      await terminal.line("plybox shell box");
      await terminal.see(/root@box/);
      await terminal.line("tty; hostname; echo $TERM $((6*7))");
      await terminal.see(/^\/dev\/pts\/\d+\nbox\n(?:screen|tmux)\S* 42$/m);
      await terminal.line("exit");
      await terminal.see(/outside\$ *\n*$/);
      await terminal.line("clear");
    });
    await terminal.line("plybox shell box -- sh -c 'exit 3'; echo code $?");
    await terminal.see(/^code 3$/m);
  });

  it("passes Ctrl-C and Ctrl-Z to what runs inside", async () => {
    await terminal.line("plybox shell box");
    await terminal.see(/root@box/);
    const sleep = `sleep 1000.${process.pid}`;
    await terminal.line(sleep);
    // A key that ends or stops what runs does nothing where the shell has not yet given it the terminal.
    await expect.poll(() => statesOf(sleep)).toEqual(["S"]);
    await terminal.press("C-c");
    await terminal.line("echo code $?");
    await terminal.see(/^code 130\nroot@box/m);
    await terminal.line(sleep);
    await expect.poll(() => statesOf(sleep)).toEqual(["S"]);
    await terminal.press("C-z");
    await terminal.see(/Stopped +sleep 1000/);
    expect(statesOf(sleep)).toEqual(["T"]);
    await terminal.line("fg");
    await expect.poll(() => statesOf(sleep)).toEqual(["S"]);
    await terminal.press("C-c");
    await terminal.line("exit");
    await terminal.see(/outside\$ *\n*$/);
  });

  it("has the size of our terminal, also when that changes", async () => {
    await terminal.line("plybox shell box");
    await terminal.see(/root@box/);
    await terminal.line("stty size");
    await terminal.see(/^30 100$/m);
    await terminal.resize(120, 40);
    // The shell is told a moment later than tmux.
    await terminal.line("until [ \"$(stty size)\" = '40 120' ]; do :; done; echo now it is");
    await terminal.see(/^now it is$/m);
    await terminal.line("exit");
    await terminal.see(/outside\$ *\n*$/);
  });

  it("shows vim as it should look, and what was written with it is there", async () => {
    await leavesTheTerminalAsItWas(async () => {
      await terminal.line("plybox shell box -- vim -u NONE --cmd 'set nocompatible showmode ruler' /tmp/letter");
      // Line 2 to the one above the last are past the end of the file.
      await terminal.see(/^\n(?:~\n){28}"\/tmp\/letter" \[New\]/);
      await terminal.type("iDear reader,");
      await terminal.press("Enter");
      await terminal.type("grüße — 你好");
      await terminal.see(/^Dear reader,\ngrüße — 你好\n(?:~\n)+-- INSERT --/);
      await terminal.press("Escape");
      await terminal.type(":s/reader/friend/ | 1,1yank | put");
      await terminal.press("Enter");
      await terminal.line(":wq");
    });
    const { stdout } = await plybox.run(["exec", "box", "--", "cat", "/tmp/letter"]);
    expect(stdout.toString()).toContain("grüße — 你好");
  });

  it("shows htop as it should look, also after the terminal has changed its size", async () => {
    await leavesTheTerminalAsItWas(async () => {
      await terminal.line("plybox shell box -- htop");
      await terminal.see(/^ +(?:0|1)\[.*%\]/m);
      await terminal.see(/Mem\[.*\]/);
      await terminal.see(/PID.*USER.*CPU%.*MEM%.*TIME\+.*Command/);
      await terminal.see(/^(?:.*\n){29}F1Help +F2Setup +F3Search *F4Filter *F5.*F10Quit/);
      await terminal.resize(90, 20);
      await terminal.see(/^(?:.*\n){19}F1Help/);
      await terminal.type("q");
    });
  });

  it("is left with Ctrl-P Ctrl-Q, goes on, and is found again", async () => {
    await leavesTheTerminalAsItWas(async () => {
      await terminal.line("plybox shell box");
      await terminal.see(/root@box/);
      await terminal.line("X=kept; (sleep 1; echo later) & clear");
      await terminal.press("C-p", "C-q");
      const screen = await terminal.see(/it goes on; come back with: plybox attach -t box ex_/);
      const [back = ""] = /plybox attach -t box ex_[0-9a-z]{26}/.exec(screen) ?? [];
      await terminal.line(`clear; ${back}`);
      await terminal.see(/later$/m);
      await terminal.line("echo $X");
      await terminal.see(/^kept$/m);
      await terminal.line("exit");
      await terminal.see(/outside\$/);
      await terminal.line("clear");
    });
  });

  it("gives the terminal back when the daemon dies", async () => {
    await leavesTheTerminalAsItWas(async () => {
      await terminal.line("plybox shell box -- vim -u NONE /tmp/unsaved");
      await terminal.see(/"\/tmp\/unsaved" \[New File\]/);
      const closed = once(daemon, "close");
      daemon.kill("SIGKILL");
      await closed;
      daemon = await serve();
      // Wherever the line of the message ends.
      await terminal.see(/broke off[^)]*unreachable\)/);
      await terminal.line("clear");
    });
  });
});

describe("plybox exec -it", () => {
  it("runs a command on our terminal", async () => {
    await terminal.line("plybox exec -it box -- sh -c 'test -t 0 && test -t 1 && tty; exit 7'; echo code $?");
    await terminal.see(/^\/dev\/pts\/\d+\ncode 7$/m);
  });

  it("holds a command on a terminal to its limits", async () => {
    await terminal.line("plybox exec -it --output-limit 1K box -- sh -c 'yes; sleep 600'; echo code $?");
    await terminal.see(/ran into its output limit\ncode 125$/m);
    await terminal.line("clear; plybox exec -it --cpu-limit 100ms box -- sh -c 'while :; do :; done'; echo code $?");
    await terminal.see(/ran into its .* limit\n(?:.*\n)?code \d+$/m);
  });

  it("holds it to a memory limit as well", async () => {
    await terminal.line("clear; plybox exec -it --memory-limit 32M box -- tail /dev/zero; echo code $?");
    await terminal.see(/ran into its memory limit.*\n(?:.*\n)?code 137$/m);
  });

  it.each([
    [["exec", "-it", "box", "--", "true"], "our input is not a terminal"],
    [["shell", "box"], "our input is not a terminal"],
    [["run", "-it", "--", "true"], "our input is not a terminal"],
    [["attach", "-t", "box", "ex_x"], "our input is not a terminal"],
    [["exec", "-t", "--json", "box", "--", "true"], "a terminal cannot be collected"],
    [["shell", "--detach-keys", "alt-f4", "box"], "not a sequence of keys"],
  ])("%j without a terminal says what is wrong", async (args, message) => {
    const { exitCode, stderr } = await plybox.run(args);
    expect(exitCode).toBe(125);
    expect(stderr).toContain(message);
  });
});

describe("plybox run -it", () => {
  it("gives a sandbox of its own a terminal", async () => {
    await leavesTheTerminalAsItWas(async () => {
      await terminal.line("plybox run -it -- bash --norc");
      await terminal.see(/bash-[0-9.]+#/);
      await terminal.line("stty size; hostname");
      await terminal.see(/^30 100\nplybox$/m);
      await terminal.line("exit");
      await terminal.see(/outside\$/);
      await terminal.line("clear");
    });
  });
});

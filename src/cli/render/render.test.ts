import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { BuildProgress } from "../../model/layer.ts";
import { formatAge } from "./age.ts";
import { BuildReport } from "./build-report.ts";
import { Progress, progressBar } from "./progress.ts";
import { describeState, stateCell } from "./state.ts";
import type { Paint } from "./style.ts";
import { paintFor } from "./style.ts";
import { renderPairs, renderTable } from "./table.ts";

const plain: Paint = (_style, text) => text;
const marked: Paint = (style, text) => `<${style}>${text}</>`;

describe("renderTable", () => {
  const columns = [{ title: "NAME" }, { title: "SIZE", align: "right" }, { title: "FROM" }] as const;

  it("aligns its columns and leaves no space at the end of a line", () => {
    const rows = [
      ["a", "1.5G", "here"],
      ["longer-name", "3K", ""],
    ];
    expect(renderTable(columns, rows, plain)).toBe(
      ["NAME          SIZE   FROM", "a             1.5G   here", "longer-name     3K", ""].join("\n"),
    );
  });

  it("shows its heading where there are no rows", () => {
    expect(renderTable(columns, [], plain)).toBe("NAME   SIZE   FROM\n");
  });

  it("does not count colours as width", () => {
    const rows = [[{ text: "ok", style: "green" }, "1K", "x"]] as const;
    expect(renderTable(columns, rows, marked).split("\n")[1]).toBe("<green>ok</>       1K   x");
  });

  it("shows control characters as what they are not", () => {
    expect(renderTable([{ title: "A" }], [["x\u001b[2J\ny"]], plain)).toBe("A\nx?[2J?y\n");
  });
});

describe("renderPairs", () => {
  it("aligns the values", () => {
    expect(
      renderPairs(
        [
          ["Id", "1"],
          ["Name", "two"],
        ],
        plain,
      ),
    ).toBe("Id     1\nName   two\n");
  });
});

describe("paintFor", () => {
  it.each([
    ["a terminal", { isTTY: true }, {}, true],
    ["a pipe", {}, {}, false],
    ["a terminal with NO_COLOR", { isTTY: true }, { NO_COLOR: "1" }, false],
    ["a terminal with an empty NO_COLOR", { isTTY: true }, { NO_COLOR: "" }, true],
    ["a dumb terminal", { isTTY: true }, { TERM: "dumb" }, false],
  ])("on %s", (_what, stream, env, colours) => {
    expect(paintFor({ env }, stream)("red", "x")).toBe(colours ? "\u001b[31mx\u001b[39m" : "x");
  });
});

describe("formatAge", () => {
  const now = new Date("2026-06-01T12:00:00Z");

  it.each([
    ["2026-06-01T12:00:05Z", "0s"],
    ["2026-06-01T11:59:55Z", "5s"],
    ["2026-06-01T11:58:59Z", "1m"],
    ["2026-06-01T09:30:00Z", "2h"],
    ["2026-05-20T11:00:00Z", "12d"],
  ])("of %s is %s", (then, age) => {
    expect(formatAge(new Date(then), now)).toBe(age);
  });
});

describe("the state of a sandbox", () => {
  it("is described with what is known of it", () => {
    expect(describeState({ kind: "running", pid: 12 })).toBe("running (pid 12)");
    const reason = { type: "exited", code: 3, signal: null } as const;
    expect(describeState({ kind: "stopped", reason })).toBe("stopped: its PID 1 ended with exit code 3");
    expect(describeState({ kind: "stopping", pid: 7, reason: { type: "asked" } })).toBe(
      "stopping: somebody asked for it",
    );
    expect(describeState({ kind: "paused", pid: 7 })).toBe("paused (pid 7)");
    const failure = { type: "launch-failed", message: "no space left", step: null, errno: null } as const;
    expect(describeState({ kind: "failed", reason: failure })).toBe("failed: no space left");
  });

  it("has a colour where it needs attention", () => {
    expect(stateCell({ kind: "lost", reason: { type: "upper-gone" } })).toEqual({ text: "lost", style: "red" });
    expect(stateCell({ kind: "destroyed", reason: { type: "asked" } })).toBe("destroyed");
  });
});

describe("a progress bar", () => {
  it.each([
    [0, 10, "[................]"],
    [5, 10, "[########........]"],
    [999, 1000, "[###############.]"],
    [10, 10, "[################]"],
    [11, 10, "[################]"],
    [0, 0, "[################]"],
  ])("of %i of %i", (done, total, bar) => {
    expect(progressBar(done, total)).toBe(bar);
  });
});

describe("the log of a build", () => {
  const instruction = { index: 2, count: 3, line: 5, text: "RUN a\u001b[2Jb" };
  const logged = (all: readonly BuildProgress[], json?: true): string => {
    const stderr = new PassThrough();
    using report = new BuildReport("100-app", { stderr }, json === undefined ? {} : { json });
    for (const progress of all) report.update(progress);
    return String(stderr.read() ?? "");
  };
  const none = { doneBytes: 0, totalBytes: null };

  it("has a line for each step, and for each whole tenth of what is large", () => {
    const GIB = 1024 ** 3;
    const packed = Array.from(
      { length: 1001 },
      (_, at) => ({ step: "pack", doneBytes: at * GIB, totalBytes: 1000 * GIB }) as const,
    );
    expect(logged(packed).trimEnd().split("\n")).toHaveLength(11);
    const install = (detail: string) => ({ step: "install", ...none, detail }) as const;
    expect(logged([install("a"), install("a"), install("b")])).toBe("installing 100-app: a\ninstalling 100-app: b\n");
    const run = (detail?: string) => ({ step: "run", ...none, instruction, ...(detail && { detail }) }) as const;
    expect(logged([run(), run("one"), run("two"), { step: "pack", doneBytes: 1, totalBytes: 2, instruction }])).toBe(
      "[2/3] RUN a?[2Jb\n",
    );
    expect(logged([{ step: "cached", ...none, instruction }])).toBe("[2/3] RUN a?[2Jb (found)\n");
  });

  it("is not for programs", () => {
    expect(logged([{ step: "pull", ...none }], true)).toBe("");
  });
});

describe("Progress", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] }));
  afterEach(() => void vi.useRealTimers());

  const terminal = (isTTY: boolean) => Object.assign(new PassThrough(), { isTTY, columns: 20 });

  it("shows nothing where there is no terminal", () => {
    const stream = terminal(false);
    using _progress = new Progress(stream, "packing");
    vi.advanceTimersByTime(5000);
    expect(stream.read()).toBeNull();
  });

  it("tells a log of each milestone once, and a terminal of none", () => {
    const log = terminal(false);
    const shown = terminal(true);
    for (const stream of [log, shown]) {
      using progress = new Progress(stream, "packing");
      progress.reach("1", "one");
      progress.reach("1", "one, again");
      progress.reach("2", "two");
    }
    expect(String(log.read())).toBe("one\ntwo\n");
    expect(shown.read()).toBeNull();
  });

  it("shows nothing of work that is done at once", () => {
    const stream = terminal(true);
    const progress = new Progress(stream, "packing");
    vi.advanceTimersByTime(200);
    progress[Symbol.dispose]();
    expect(stream.read()).toBeNull();
  });

  it("shows long work on one line of the terminal's width, and clears it", () => {
    const stream = terminal(true);
    const progress = new Progress(stream, "packing");
    progress.update("packing 500M of a large directory");
    vi.advanceTimersByTime(400);
    progress[Symbol.dispose]();
    vi.advanceTimersByTime(5000);
    const lines = String(stream.read()).split("\r\u001b[2K");
    expect(lines.at(-1)).toBe("");
    expect(lines[1]).toBe("packing 500M of a l");
  });
});

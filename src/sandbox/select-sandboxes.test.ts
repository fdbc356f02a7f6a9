import { describe, expect, it } from "vitest";
import { sandboxRecord } from "../../test/support/sandbox-record.ts";
import type { SandboxId, SandboxName } from "../model/ids.ts";
import type { Sandbox, SandboxState } from "../model/sandbox.ts";
import { selectSandboxes } from "./select-sandboxes.ts";

const RUNNING: SandboxState = { kind: "running", pid: 7, startTime: 1 };
const STOPPED: SandboxState = { kind: "stopped", reason: { type: "asked" } };

function sandbox(n: number, changes: Partial<Sandbox> = {}): Sandbox {
  const id = `sb_${String(n).padStart(26, "0")}` as SandboxId;
  return sandboxRecord({ id, state: RUNNING, labels: {}, ...changes });
}

const named = (name: string) => ({ name: name as SandboxName });
const ALL = [
  sandbox(3, { labels: { team: "red", tier: "" } }),
  sandbox(1, { ...named("web-1"), labels: { team: "red" } }),
  sandbox(2, { ...named("web-2"), state: STOPPED, labels: { team: "blue" } }),
  sandbox(4, { ...named("db"), state: { kind: "destroyed", reason: { type: "asked" } } }),
];

const select = (query: object) =>
  selectSandboxes(ALL, { limit: 100, ...query }).sandboxes.map(({ id }) => Number(id.slice(3)));

describe("selectSandboxes", () => {
  it("gives all but those that are being removed, oldest first", () => {
    expect(select({})).toEqual([1, 2, 3]);
  });

  it.each([
    [{ labels: ["team"] }, [1, 2, 3]],
    [{ labels: ["team=red"] }, [1, 3]],
    [{ labels: ["team=red", "tier"] }, [3]],
    [{ labels: ["tier="] }, [3]],
    [{ labels: ["tier=x"] }, []],
    [{ labels: ["toString"] }, []],
    [{ labels: [""] }, []],
    [{ states: ["running"] }, [1, 3]],
    [{ states: ["running", "stopped"] }, [1, 2, 3]],
    [{ states: ["paused"] }, []],
    [{ names: ["web-1"] }, [1]],
    [{ names: ["web-*"] }, [1, 2]],
    [{ names: ["web-2", "nobody"] }, [2]],
    [{ names: ["web"] }, []],
    [{ names: ["*"] }, [1, 2]],
    [{ names: ["web-*"], states: ["stopped"], labels: ["team=blue"] }, [2]],
    [{ names: [], states: [], labels: [] }, [1, 2, 3]],
  ])("of %j gives %j", (query, expected) => {
    expect(select(query)).toEqual(expected);
  });

  it("gives pages, each where the one before ended, also when that one's last has gone", () => {
    const first = selectSandboxes(ALL, { limit: 2 });
    expect(first.sandboxes.map(({ id }) => id)).toEqual([ALL[1]?.id, ALL[2]?.id]);
    expect(first.next).toBe(ALL[2]?.id);
    const without = ALL.filter((each) => each !== ALL[2]);
    const second = selectSandboxes(without, { limit: 2, after: first.next ?? "" });
    expect(second).toEqual({ sandboxes: [ALL[0]], next: null });
  });

  it("says that a page is the last when it is exactly full", () => {
    expect(selectSandboxes(ALL, { limit: 3 }).next).toBeNull();
    expect(selectSandboxes([], { limit: 3 })).toEqual({ sandboxes: [], next: null });
  });
});

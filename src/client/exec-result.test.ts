import { describe, expect, it } from "vitest";
import type { Command, CommandEvent, ExitReport } from "./command.ts";
import { resultOfStream } from "./exec-result.ts";

const report = { exec: "ex_1", exitCode: 0, signal: null, limit: null } as ExitReport;

/** A command that is nothing but its events. */
function commandOf(...pieces: (readonly [stream: "stdout" | "stderr", bytes: readonly number[]])[]): Command {
  const events: CommandEvent[] = pieces.map(([stream, bytes]) => ({
    kind: "output",
    stream,
    offset: 0,
    bytes: Uint8Array.from(bytes),
  }));
  for (const stream of ["stdout", "stderr"] as const) events.push({ kind: "end", stream, offset: 0 });
  events.push({ kind: "exit", report });
  return { [Symbol.asyncIterator]: () => events.values() } as unknown as Command;
}

const E_ACUTE = [0xc3, 0xa9];

describe("a streamed result", () => {
  it("tells a listener a character that comes in two pieces as one", async () => {
    const heard: string[] = [];
    const command = commandOf(["stdout", [0x61, 0xc3]], ["stderr", [0x78]], ["stdout", [0xa9, 0x62]]);
    const result = await resultOfStream(command, {
      encoding: "utf8",
      onStdout: (piece) => void heard.push(piece),
      onStderr: undefined,
    });
    expect(heard).toEqual(["a", "éb"]);
    expect(result).toMatchObject({ stdout: "aéb", stderr: "x" });
  });

  it("tells the rest of a character that never comes to its end", async () => {
    const heard: string[] = [];
    const result = await resultOfStream(commandOf(["stderr", [0xc3]]), {
      encoding: "utf8",
      onStdout: undefined,
      onStderr: (piece) => void heard.push(piece),
    });
    expect(heard).toEqual(["\ufffd"]);
    expect(result).toMatchObject({ stderr: "\ufffd", notUtf8: ["stderr"] });
  });

  it("waits for a listener before it takes more", async () => {
    const order: string[] = [];
    await resultOfStream(commandOf(["stdout", [0x61]], ["stdout", [0x62]]), {
      encoding: "utf8",
      onStdout: async (piece) => {
        order.push(`begin ${piece}`);
        await new Promise((resolve) => setImmediate(resolve));
        order.push(`end ${piece}`);
      },
      onStderr: undefined,
    });
    expect(order).toEqual(["begin a", "end a", "begin b", "end b"]);
  });

  it("keeps a byte order mark, which is output like any other", async () => {
    const result = await resultOfStream(commandOf(["stdout", [0xef, 0xbb, 0xbf, ...E_ACUTE]]), {
      encoding: "utf8",
      onStdout: undefined,
      onStderr: undefined,
    });
    expect(result.stdout).toBe("\ufeffé");
  });

  it("throws what a listener throws", async () => {
    const listening = resultOfStream(commandOf(["stdout", [0x61]]), {
      encoding: "utf8",
      onStdout: () => {
        throw new Error("not that");
      },
      onStderr: undefined,
    });
    await expect(listening).rejects.toThrow("not that");
  });
});

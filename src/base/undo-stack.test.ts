import { expect, test } from "vitest";
import { deferred } from "./deferred.ts";
import { UndoStack } from "./undo-stack.ts";

function recorder() {
  const ran: string[] = [];
  const stack = new UndoStack();
  const push = (label: string) => stack.push(label, () => void ran.push(label));
  return { ran, stack, push };
}

test("runs every step, newest first", async () => {
  const { ran, stack, push } = recorder();
  push("first");
  push("second");
  push("third");
  await stack[Symbol.asyncDispose]();
  expect(ran).toEqual(["third", "second", "first"]);
});

test("waits for a step before it runs the one below", async () => {
  const { ran, stack, push } = recorder();
  const gate = deferred();
  push("below");
  stack.push("slow", () => gate.promise);
  const disposal = stack[Symbol.asyncDispose]();
  expect(ran).toEqual([]);
  gate.resolve();
  await disposal;
  expect(ran).toEqual(["below"]);
});

test("runs the other steps when some fail, and names those that did", async () => {
  const { ran, stack, push } = recorder();
  push("remove the directory");
  stack.push("unmount", () => Promise.reject(new Error("busy")));
  push("stop");
  stack.push("free the id", () => {
    throw new Error("unknown id");
  });
  const failure = await stack[Symbol.asyncDispose]().catch((error: unknown) => error);
  expect(ran).toEqual(["stop", "remove the directory"]);
  expect(failure).toBeInstanceOf(AggregateError);
  const { errors, message } = failure as AggregateError;
  expect(errors.map((error: Error) => error.message)).toEqual(["free the id: unknown id", "unmount: busy"]);
  expect(errors[1]).toHaveProperty("cause.message", "busy");
  expect(message).toContain("unmount: busy");
});

test("runs its steps once, however often it is disposed of", async () => {
  const { ran, stack, push } = recorder();
  push("only");
  await Promise.all([stack[Symbol.asyncDispose](), stack[Symbol.asyncDispose]()]);
  await stack[Symbol.asyncDispose]();
  expect(ran).toEqual(["only"]);
});

test("undoes nothing after its steps have moved out", async () => {
  const { ran, stack, push } = recorder();
  push("owned");
  const owner = stack.move();
  await stack[Symbol.asyncDispose]();
  expect(ran).toEqual([]);
  await owner[Symbol.asyncDispose]();
  expect(ran).toEqual(["owned"]);
});

test("refuses a step that would never be undone", async () => {
  const { stack, push } = recorder();
  await stack[Symbol.asyncDispose]();
  expect(() => push("late")).toThrow("late");
});

test("undoes at the end of an `await using` block that throws", async () => {
  const ran: string[] = [];
  const acquire = async () => {
    await using undo = new UndoStack();
    undo.push("release", () => void ran.push("release"));
    throw new Error("half-way");
  };
  await expect(acquire()).rejects.toThrow("half-way");
  expect(ran).toEqual(["release"]);
});

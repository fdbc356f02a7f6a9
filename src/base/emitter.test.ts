import { expect, test } from "vitest";
import { Emitter } from "./emitter.ts";

const fail = (error: unknown): never => {
  throw error;
};

test("every listener gets every value until it ends its listening", () => {
  const emitter = new Emitter<number>(fail);
  const seen: string[] = [];
  const end = emitter.listen((value) => seen.push(`a${value}`));
  emitter.listen((value) => seen.push(`b${value}`));
  emitter.emit(1);
  end();
  end();
  emitter.emit(2);
  expect(seen).toEqual(["a1", "b1", "b2"]);
});

test("a listener that throws is reported, and the others still hear", () => {
  const failures: unknown[] = [];
  const emitter = new Emitter<number>((error) => failures.push(error));
  const seen: number[] = [];
  emitter.listen(() => {
    throw new Error("bad");
  });
  emitter.listen((value) => seen.push(value));
  emitter.emit(1);
  expect(seen).toEqual([1]);
  expect(failures).toEqual([new Error("bad")]);
});

test("one function may listen twice, and each ends for itself", () => {
  const emitter = new Emitter<number>(fail);
  let count = 0;
  const listener = (): void => void count++;
  const end = emitter.listen(listener);
  emitter.listen(listener);
  emitter.emit(1);
  end();
  emitter.emit(1);
  expect(count).toBe(3);
});

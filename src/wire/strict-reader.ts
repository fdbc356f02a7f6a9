import { ProtocolViolation } from "./protocol-violation.ts";

/**
 * Turns an untrusted JSON value into a T. `path` names the value in the error.
 * @throws ProtocolViolation `payload`
 */
export type Reader<T> = (value: unknown, path: string) => T;

export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER): Reader<number> {
  return (value, path) => {
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
    throw refuse(path, `an integer from ${min} to ${max}`);
  };
}

export const nonNegative: Reader<number> = (value, path) => {
  if (typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return value;
  throw refuse(path, "a number from 0 to 2⁵³−1");
};

export const flag: Reader<boolean> = (value, path) => {
  if (typeof value === "boolean") return value;
  throw refuse(path, "true or false");
};

/** Text of at most `max` UTF-16 units. */
export function text(max: number): Reader<string> {
  return (value, path) => {
    if (typeof value === "string" && value.length <= max) return value;
    throw refuse(path, `text of at most ${max} characters`);
  };
}

/** Text for people, cut to its first `max` UTF-16 units: it may quote input of any length. */
export function clipped(max: number): Reader<string> {
  return (value, path) => {
    // A copy where it is cut: a slice would keep all of it.
    if (typeof value === "string") return value.length <= max ? value : Buffer.from(value.slice(0, max)).toString();
    throw refuse(path, "text");
  };
}

/** Text that `pattern` bounds in length too. */
export function matching<T extends string = string>(pattern: RegExp): Reader<T> {
  return (value, path) => {
    if (typeof value === "string" && pattern.test(value)) return value as T;
    throw refuse(path, `text like ${pattern}`);
  };
}

export function oneOf<const T>(...choices: readonly T[]): Reader<T> {
  return (value, path) => {
    if ((choices as readonly unknown[]).includes(value)) return value as T;
    throw refuse(path, `one of ${choices.map((choice) => JSON.stringify(choice)).join(", ")}`);
  };
}

export function nullable<T>(reader: Reader<T>): Reader<T | null> {
  return (value, path) => (value === null ? null : reader(value, path));
}

/** A list of at most `max` items; without `max` its length is bounded by the frame that it came in. */
export function list<T>(reader: Reader<T>, max = Number.POSITIVE_INFINITY): Reader<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length > max) throw refuse(path, "a list, or is too long");
    return value.map((item, i) => reader(item, `${path}[${i}]`));
  };
}

type Readers<T> = { readonly [K in keyof T]-?: Reader<Exclude<T[K], undefined>> };
type OptionalKeys<T> = { [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? K : never }[keyof T];

/** An object of exactly these fields; those of `optional` may be absent. */
export function object<T extends object>(
  required: Readers<Omit<T, OptionalKeys<T>>>,
  optional?: Readers<Pick<T, OptionalKeys<T>>>,
): Reader<T> {
  const needed = Object.entries(required) as [string, Reader<unknown>][];
  const extra = Object.entries(optional ?? {}) as [string, Reader<unknown>][];
  return (value, path) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) throw refuse(path, "an object");
    const source = value as Record<string, unknown>;
    const result: Record<string, unknown> = {};
    let known = needed.length;
    for (const [name, reader] of needed) {
      result[name] = reader(source[name], `${path}.${name}`);
    }
    for (const [name, reader] of extra) {
      if (!Object.hasOwn(source, name)) continue;
      known++;
      result[name] = reader(source[name], `${path}.${name}`);
    }
    if (Object.keys(source).length > known) throw refuse(path, "without unknown fields");
    return result as T;
  };
}

function refuse(path: string, expected: string): ProtocolViolation {
  return new ProtocolViolation("payload", `${path} is not ${expected}`);
}

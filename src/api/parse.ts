import type * as z from "zod";
import { PlyboxError } from "../model/errors.ts";

/**
 * Checks `value` against a schema.
 *
 * @throws PlyboxError `input/invalid` that names the first wrong field
 */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw issue === undefined ? new PlyboxError("input/invalid", "not valid") : refusal(issue);
}

function refusal(found: z.core.$ZodIssue): PlyboxError {
  const issue = nested(found);
  const path = issue.code === "unrecognized_keys" ? [...issue.path, issue.keys[0] ?? ""] : issue.path;
  const field = path.map(String).join(".");
  const message = reason(issue);
  return field === ""
    ? new PlyboxError("input/invalid", `the input ${message}`)
    : new PlyboxError("input/invalid", `${field} ${message}`, { field });
}

/** The rest of a sentence that begins with the field. */
function reason(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case "unrecognized_keys":
      return "is not a field";
    case "invalid_key":
      return `is not allowed: ${issue.issues[0]?.message ?? "not a valid key"}`;
    case "invalid_type":
      return issue.message.endsWith("received undefined") ? "is required" : `must be ${article(issue.expected)}`;
    case "too_small":
      return `must be at least ${bound(issue.minimum, issue.origin)}`;
    case "too_big":
      return `must be at most ${bound(issue.maximum, issue.origin)}`;
    case "invalid_value":
      return `must be one of ${issue.values.map(String).join(", ")}`;
    case "invalid_union":
      return unionReason(issue);
    default:
      return issue.message;
  }
}

const article = (type: string): string => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`);

/** Of what was tried in vain, that which came furthest says what is wrong. */
function nested(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union" || "options" in issue) return issue;
  const tried = issue.errors.flat().filter(({ path }) => path.length > 0);
  const furthest = tried.sort((one, other) => other.path.length - one.path.length)[0];
  return furthest === undefined ? issue : { ...furthest, path: [...issue.path, ...furthest.path] };
}

/** A union with a discriminator lists its values; any other says what it wants in its own words. */
const unionReason = (issue: z.core.$ZodIssueInvalidUnion): string =>
  "options" in issue && Array.isArray(issue.options) ? `must be one of ${issue.options.join(", ")}` : issue.message;

function bound(value: number | bigint, origin: string): string {
  const number = value.toLocaleString("en");
  if (origin === "string") return `${number} characters long`;
  if (origin === "array") return `${number} items long`;
  return number;
}

import { isUtf8 } from "node:buffer";
import * as z from "zod";
import { PlyboxError } from "../model/errors.ts";

/** Whole numbers and booleans have one spelling in a query; any other text stays text, for the schema to refuse. */
function queryValue(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  return /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : text;
}

/** The meta data of a schema whose value in a query is taken as it is: text, or `{base64}` of what is not UTF-8. */
export const VERBATIM = { verbatim: true } as const;

/** Names of a query whose values are `VERBATIM`. */
export function verbatimOf({ shape }: z.ZodObject): ReadonlySet<string> {
  const isVerbatim = (field: z.ZodType): boolean =>
    field.meta()?.verbatim === true || (field instanceof z.ZodExactOptional && isVerbatim(field.unwrap() as z.ZodType));
  return new Set(Object.keys(shape).filter((name) => isVerbatim(shape[name] as z.ZodType)));
}

/** The values of one field in their order, percent-decoded to bytes: `URLSearchParams` would replace what is not UTF-8. */
function* rawValues(query: string, name: string): Generator<string | { readonly base64: string }> {
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    if (decoded(equals === -1 ? pair : pair.slice(0, equals)).toString() !== name) continue;
    const bytes = decoded(equals === -1 ? "" : pair.slice(equals + 1));
    yield isUtf8(bytes) ? bytes.toString() : { base64: bytes.toString("base64") };
  }
}

const decoded = (text: string): Buffer =>
  Buffer.from(
    text
      .replaceAll("+", " ")
      // What stands in a URL is ASCII, so that each character is one byte.
      .replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    "latin1",
  );

const NO_LISTS: ReadonlySet<string> = new Set();

/** Names of a query that may come several times: those whose values are arrays. */
export function listsOf({ shape }: z.ZodObject): ReadonlySet<string> {
  const isList = (field: unknown): boolean =>
    field instanceof z.ZodExactOptional ? isList(field.unwrap()) : field instanceof z.ZodArray;
  return new Set(Object.keys(shape).filter((name) => isList(shape[name])));
}

/**
 * The query of a URL as an object for a schema. The names in `lists` may come several times; their values are texts.
 * The values of those in `verbatim` are neither numbers nor booleans.
 *
 * @throws PlyboxError `input/invalid` for another name that comes twice
 */
export function readQuery(
  url: string,
  lists: ReadonlySet<string> = NO_LISTS,
  verbatim: ReadonlySet<string> = NO_LISTS,
): Record<string, unknown> {
  const mark = url.indexOf("?");
  const fields: Record<string, unknown> = Object.create(null);
  if (mark === -1) return fields;
  for (const [name, text] of new URLSearchParams(url.slice(mark + 1))) {
    if (lists.has(name)) {
      fields[name] = [...((fields[name] as string[] | undefined) ?? []), text];
      continue;
    }
    if (name in fields) throw new PlyboxError("input/invalid", `${name} is given twice`, { field: name });
    fields[name] = verbatim.has(name) ? rawValues(url.slice(mark + 1), name).next().value : queryValue(text);
  }
  return fields;
}

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

type Field = "list" | "verbatim" | "boolean" | "other";

/** How the value of a name is to be read. */
function fieldOf(schema: unknown): Field {
  if (schema instanceof z.ZodExactOptional) return fieldOf(schema.unwrap());
  if (schema instanceof z.ZodArray) return "list";
  if (schema instanceof z.ZodBoolean) return "boolean";
  return schema instanceof z.ZodType && schema.meta()?.verbatim === true ? "verbatim" : "other";
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

/**
 * The query of a URL as an object for a schema. A name whose schema is a list may come several times; its values are
 * texts. What is `VERBATIM` is neither a number nor a boolean, and a boolean may be 1 or 0 too.
 *
 * @throws PlyboxError `input/invalid` for another name that comes twice
 */
export function readQuery(url: string, schema?: z.ZodObject): Record<string, unknown> {
  const mark = url.indexOf("?");
  const fields: Record<string, unknown> = Object.create(null);
  if (mark === -1) return fields;
  const query = url.slice(mark + 1);
  for (const [name, text] of new URLSearchParams(query)) {
    const field = schema !== undefined && Object.hasOwn(schema.shape, name) ? fieldOf(schema.shape[name]) : "other";
    if (field === "list") {
      fields[name] = [...((fields[name] as string[] | undefined) ?? []), text];
      continue;
    }
    if (name in fields) throw new PlyboxError("input/invalid", `${name} is given twice`, { field: name });
    if (field === "verbatim") fields[name] = rawValues(query, name).next().value;
    else if (field === "boolean" && /^[01]$/.test(text)) fields[name] = text === "1";
    else fields[name] = queryValue(text);
  }
  return fields;
}

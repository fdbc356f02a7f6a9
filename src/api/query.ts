import * as z from "zod";
import { PlyboxError } from "../model/errors.ts";

/** Whole numbers and booleans have one spelling in a query; any other text stays text, for the schema to refuse. */
function queryValue(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  return /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : text;
}

const NO_LISTS: ReadonlySet<string> = new Set();

/** Names of a query that may come several times: those whose values are arrays. */
export function listsOf({ shape }: z.ZodObject): ReadonlySet<string> {
  const isList = (field: unknown): boolean =>
    field instanceof z.ZodExactOptional ? isList(field.unwrap()) : field instanceof z.ZodArray;
  return new Set(Object.keys(shape).filter((name) => isList(shape[name])));
}

/**
 * The query of a URL as an object for a schema. The names in `lists` may come several times; their values are texts.
 *
 * @throws PlyboxError `input/invalid` for another name that comes twice
 */
export function readQuery(url: string, lists: ReadonlySet<string> = NO_LISTS): Record<string, unknown> {
  const mark = url.indexOf("?");
  const fields: Record<string, unknown> = Object.create(null);
  if (mark === -1) return fields;
  for (const [name, text] of new URLSearchParams(url.slice(mark + 1))) {
    if (lists.has(name)) {
      fields[name] = [...((fields[name] as string[] | undefined) ?? []), text];
      continue;
    }
    if (name in fields) throw new PlyboxError("input/invalid", `${name} is given twice`, { field: name });
    fields[name] = queryValue(text);
  }
  return fields;
}

import { PlyboxError } from "../model/errors.ts";

/** Whole numbers and booleans have one spelling in a query; any other text stays text, for the schema to refuse. */
function queryValue(text: string): unknown {
  if (text === "true" || text === "false") return text === "true";
  return /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : text;
}

/**
 * The query of a URL as an object for a schema.
 *
 * @throws PlyboxError `input/invalid` for a name that comes twice
 */
export function readQuery(url: string): Record<string, unknown> {
  const mark = url.indexOf("?");
  const fields: Record<string, unknown> = Object.create(null);
  if (mark === -1) return fields;
  for (const [name, text] of new URLSearchParams(url.slice(mark + 1))) {
    if (name in fields) throw new PlyboxError("input/invalid", `${name} is given twice`, { field: name });
    fields[name] = queryValue(text);
  }
  return fields;
}

import { PlyboxError } from "../../model/errors.ts";

/**
 * A TCP port.
 * @throws PlyboxError `input/invalid`
 */
export function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new PlyboxError("input/invalid", `not a port: ${JSON.stringify(text.slice(0, 40))}; write 1 to 65535`);
}

/**
 * A port with a path behind it, such as `8080` or `8080/health`.
 * @throws PlyboxError `input/invalid`
 */
export function parsePortAndPath(text: string): { readonly port: number; readonly path?: string } {
  const slash = text.indexOf("/");
  return slash === -1 ? { port: parsePort(text) } : { port: parsePort(text.slice(0, slash)), path: text.slice(slash) };
}

import { accessSync, constants } from "node:fs";
import { fileURLToPath } from "node:url";
import { PlyboxError } from "../model/errors.ts";

/** Where `npm install` builds the native programs, seen from `src/native` and `dist/native` alike. */
const BUILD = new URL("../../build/", import.meta.url);

/** The programs of native/. */
export type NativeProgram = "plylaunch" | "plyagent" | "plytree" | "plyrelay" | "plyfilter";

/**
 * Absolute path of a native program.
 * @throws PlyboxError `host/missing` when it is not built
 */
export function nativeProgram(name: NativeProgram): string {
  const path = fileURLToPath(new URL(name, BUILD));
  try {
    accessSync(path, constants.X_OK);
  } catch (cause) {
    throw new PlyboxError("host/missing", `${name} is not built; run npm run build:native`, { cause });
  }
  return path;
}

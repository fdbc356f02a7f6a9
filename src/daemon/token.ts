import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { writeFileAtomically } from "../base/atomic-file.ts";
import { PlyboxError } from "../model/errors.ts";

/**
 * The bearer token in `file`; made, readable by its owner alone, where there is none.
 * @throws PlyboxError `input/invalid` for a file that holds none
 */
export async function readOrMakeToken(file: string): Promise<string> {
  try {
    const token = readFileSync(file, "utf8").trim();
    if (token.length >= 16) return token;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    const token = randomBytes(32).toString("base64url");
    await writeFileAtomically(file, `${token}\n`, 0o600);
    return token;
  }
  throw new PlyboxError("input/invalid", `${file} holds no token of at least 16 characters`, { field: "tokenFile" });
}

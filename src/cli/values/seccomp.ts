import { readFileSync } from "node:fs";
import { PlyboxError } from "../../model/errors.ts";
import type { SeccompProfile, SeccompProfileName } from "../../model/seccomp.ts";
import { SECCOMP_PROFILES } from "../../model/seccomp.ts";

const isName = (text: string): text is SeccompProfileName => (SECCOMP_PROFILES as readonly string[]).includes(text);

/**
 * The name of a profile, or the path of a file with one in the JSON format of the OCI runtime specification.
 * @throws PlyboxError `input/invalid`
 */
export function parseSeccomp(text: string): SeccompProfileName | SeccompProfile {
  if (isName(text)) return text;
  return parseJson(text, readProfile(text));
}

function readProfile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const message = `neither ${SECCOMP_PROFILES.join(", ")} nor a file that can be read (${code}): ${JSON.stringify(path)}`;
    throw new PlyboxError("input/invalid", message, { cause });
  }
}

function parseJson(path: string, text: string): SeccompProfile {
  try {
    const profile: unknown = JSON.parse(text);
    if (typeof profile === "object" && profile !== null && !Array.isArray(profile)) return profile as SeccompProfile;
  } catch (cause) {
    throw new PlyboxError("input/invalid", `not JSON: ${path}: ${(cause as Error).message}`, { cause });
  }
  throw new PlyboxError("input/invalid", `not a seccomp profile: ${path}`);
}

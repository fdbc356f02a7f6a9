import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { PlyboxError } from "../model/errors.ts";

/** Where Debian installs programs; the caller's PATH is not trusted with what builds a root file system. */
const DIRECTORIES = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** The environment of the programs that build layers: nothing of the daemon's own (SOURCE_DATE_EPOCH, for one, would clash). */
export const PROGRAM_ENVIRONMENT = { PATH: DIRECTORIES.join(":"), LANG: "C.UTF-8" };

/** The absolute path of a program, or undefined where it is not installed. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const directory of DIRECTORIES) {
    const path = `${directory}/${name}`;
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  return undefined;
}

/** @throws PlyboxError `host/missing`, naming the Debian package that has the program */
export async function requireProgram(name: string, debianPackage: string): Promise<string> {
  const path = await findProgram(name);
  if (path !== undefined) return path;
  throw missingProgram(name, debianPackage);
}

export function missingProgram(name: string, debianPackage: string): PlyboxError {
  return new PlyboxError("host/missing", `${name} is not installed; on Debian: apt-get install ${debianPackage}`, {
    step: name,
  });
}

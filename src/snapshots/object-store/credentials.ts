import { readFile } from "node:fs/promises";
import { PlyboxError } from "../../model/errors.ts";

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** Where credentials are: given, or in the file that the tools of S3 share. */
export type CredentialSource =
  | ({ readonly kind: "given" } & Credentials)
  | { readonly kind: "file"; readonly path: string; readonly profile: string };

/**
 * Credentials, read when they are needed: whoever rotates a file does not restart a daemon.
 * @throws PlyboxError `remote/refused` for a file without them
 */
export async function readCredentials(source: CredentialSource): Promise<Credentials> {
  if (source.kind === "given") return source;
  const { path, profile } = source;
  try {
    return parseCredentials(await readFile(path, "utf8"), profile);
  } catch (cause) {
    const message = `no credentials in ${path}: ${(cause as Error).message}`;
    throw new PlyboxError("remote/refused", message, { cause });
  }
}

/** @throws Error saying what is missing */
export function parseCredentials(text: string, profile: string): Credentials {
  const values = sectionOf(text, profile);
  if (values === undefined) throw new Error(`it has no profile ${JSON.stringify(profile)}`);
  const accessKeyId = values.get("aws_access_key_id");
  const secretAccessKey = values.get("aws_secret_access_key");
  const sessionToken = values.get("aws_session_token");
  if (!accessKeyId || !secretAccessKey) throw new Error(`the profile ${JSON.stringify(profile)} lacks a key`);
  return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
}

function sectionOf(text: string, section: string): ReadonlyMap<string, string> | undefined {
  let values: Map<string, string> | undefined;
  let isInside = false;
  for (const line of text.split(/\r?\n/)) {
    const [, header] = /^\s*\[\s*([^\]]*?)\s*\]/.exec(line) ?? [];
    if (header !== undefined) {
      isInside = header === section;
      if (isInside) values ??= new Map();
    } else if (isInside && !/^\s*[#;]/.test(line)) {
      const [, key, value] = /^\s*([\w]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
      if (key !== undefined && value !== undefined) values?.set(key.toLowerCase(), value);
    }
  }
  return values;
}

import { join } from "node:path";
import { PlyboxError } from "../model/errors.ts";

/** Where layers are kept besides the store, and how it is used. */
export interface RemoteSettings {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** Of every key, without a slash at its end; empty for none. */
  readonly prefix: string;
  readonly credentials:
    | {
        readonly kind: "given";
        readonly accessKeyId: string;
        readonly secretAccessKey: string;
        readonly sessionToken?: string;
      }
    | { readonly kind: "file"; readonly path: string; readonly profile: string };
  /** Whether what is built is pushed before the build is done. */
  readonly pushes: boolean;
  /** Whether a layer that is not here is pulled when it is asked for. */
  readonly pulls: boolean;
  /** Whether what sandboxes have written is there before they have been stopped or removed. */
  readonly sandboxes: boolean;
}

interface RemoteTexts {
  readonly remote?: string;
  readonly remoteEndpoint?: string;
  readonly remoteRegion?: string;
  readonly remotePush?: string;
  readonly remotePull?: string;
  readonly remoteSandboxes?: string;
}

const ADDRESS = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([A-Za-z0-9._-]+(?:\/[A-Za-z0-9._-]+)*))?\/?$/;

/**
 * The settings of object storage; what has a name among the tools of S3 is taken by that name too.
 * @throws PlyboxError `input/invalid` naming the setting
 */
export function parseRemote(env: NodeJS.ProcessEnv, given: RemoteTexts): RemoteSettings | null {
  if (given.remote === undefined) {
    const [alone] = Object.entries(given).filter(([name, text]) => name.startsWith("remote") && text !== undefined);
    if (alone !== undefined) throw invalid(alone[0], "means nothing without remote");
    return null;
  }
  const [, bucket, prefix = ""] = ADDRESS.exec(given.remote) ?? [];
  const isSafe = !prefix.split("/").some((part) => part === "." || part === "..");
  if (bucket === undefined || !isSafe) {
    throw invalid("remote", `is s3://BUCKET or s3://BUCKET/PREFIX, not ${JSON.stringify(given.remote)}`);
  }
  const region = given.remoteRegion ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? "us-east-1";
  if (!/^[a-z0-9-]{1,64}$/.test(region)) throw invalid("remoteRegion", `is a name, not ${JSON.stringify(region)}`);
  const endpoint =
    given.remoteEndpoint ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL ?? `https://s3.${region}.amazonaws.com`;
  return Object.freeze({
    ...{ endpoint: parseEndpoint(endpoint), region, bucket, prefix, credentials: credentialsOf(env) },
    pushes: parseFlag("remotePush", given.remotePush ?? "false"),
    pulls: parseFlag("remotePull", given.remotePull ?? "true"),
    sandboxes: parseFlag("remoteSandboxes", given.remoteSandboxes ?? "false"),
  });
}

function credentialsOf(env: NodeJS.ProcessEnv): RemoteSettings["credentials"] {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN } = env;
  if (accessKeyId && secretAccessKey) {
    const token = AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {};
    return { kind: "given", accessKeyId, secretAccessKey, ...token };
  }
  const path = env.AWS_SHARED_CREDENTIALS_FILE || join(env.HOME ?? "/root", ".aws", "credentials");
  return { kind: "file", path, profile: env.AWS_PROFILE || "default" };
}

function parseEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url?.search === "" && url.hash === "" && url.username === "" && url.password === "";
  if (isPlain && (url.protocol === "http:" || url.protocol === "https:")) return text.replace(/\/+$/, "");
  throw invalid("remoteEndpoint", `is an address such as http://127.0.0.1:9000, not ${JSON.stringify(text)}`);
}

function parseFlag(setting: string, text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw invalid(setting, `is true or false, not ${JSON.stringify(text)}`);
}

const invalid = (field: string, message: string): PlyboxError =>
  new PlyboxError("input/invalid", `configuration: ${field} ${message}`, { field });

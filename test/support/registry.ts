import type { ChildProcess } from "node:child_process";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Whom it knows; the password has what separates the two, too. */
export const CREDENTIALS = { username: "ply", password: "se:cret" };
/** Of that password, by bcrypt. */
const HASH = "$2y$05$MNl8CUdNF7zfkHpW7L92rOQ0DJV6.5r2kK3X2528JxbJZ9KsDeev6";

/** Debian's docker-registry on a loopback port of its own, which lets in who has the credentials alone. */
export class Registry implements AsyncDisposable {
  /** `127.0.0.1:PORT` */
  readonly host: string;
  /** A file with its credentials. */
  readonly authFile: string;
  readonly #directory: string;
  readonly #child: ChildProcess;

  private constructor(host: string, directory: string, child: ChildProcess) {
    this.host = host;
    this.#directory = directory;
    this.#child = child;
    this.authFile = join(directory, "auth.json");
    const auth = Buffer.from(`${CREDENTIALS.username}:${CREDENTIALS.password}`).toString("base64");
    writeFileSync(this.authFile, JSON.stringify({ auths: { [host]: { auth } } }));
  }

  static async start(): Promise<Registry> {
    const directory = mkdtempSync(join(tmpdir(), "plybox-registry-"));
    writeFileSync(join(directory, "htpasswd"), `${CREDENTIALS.username}:${HASH}\n`);
    const settings = {
      version: 0.1,
      storage: { filesystem: { rootdirectory: join(directory, "store") } },
      http: { addr: "127.0.0.1:0" },
      auth: { htpasswd: { realm: "test", path: join(directory, "htpasswd") } },
    };
    // JSON is YAML.
    writeFileSync(join(directory, "config.yml"), JSON.stringify(settings));
    const child = spawn("docker-registry", ["serve", join(directory, "config.yml")], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    for await (const line of createInterface(child.stderr)) {
      const [, host] = /listening on (127\.0\.0\.1:[0-9]+)/.exec(line) ?? [];
      if (host === undefined) continue;
      child.stderr.resume();
      return new Registry(host, directory, child);
    }
    throw new Error("docker-registry did not start");
  }

  /** Puts an image of a layout into it as `NAME:TAG`; returns its digest. */
  push(layout: string, image: string): string {
    const digestFile = join(this.#directory, "digest");
    execFileSync("skopeo", [
      ...["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "--dest-authfile", this.authFile, "--all"],
      ...["--digestfile", digestFile, `oci:${layout}`, `docker://${this.host}/${image}`],
    ]);
    return execFileSync("cat", [digestFile], { encoding: "utf8" }).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

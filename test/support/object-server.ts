import type { ChildProcess } from "node:child_process";
import { execFile, spawn } from "node:child_process";
import { randomInt, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { S3Client } from "../../src/snapshots/object-store/s3-client.ts";

const run = promisify(execFile);
const POLL_MS = 20;

/** Ceph's gateway on the loopback address, on a cluster of one monitor and one daemon that keeps objects in memory. */
export class ObjectServer implements AsyncDisposable {
  static readonly credentials = { accessKeyId: "plybox-test", secretAccessKey: "plybox-test-secret" } as const;
  static readonly region = "us-east-1";
  readonly endpoint: string;
  readonly #directory: string;
  readonly #programs: readonly ChildProcess[];

  static async start(): Promise<ObjectServer> {
    const directory = mkdtempSync(join(tmpdir(), "plybox-rgw-"));
    const programs: ChildProcess[] = [];
    try {
      const [monitor, gateway] = [await freePort(), await freePort()];
      await startCluster(directory, monitor, programs);
      const frontend = ["--rgw-frontends", `beast endpoint=127.0.0.1:${gateway}`];
      programs.push(start(directory, "radosgw", ["-n", "client.rgw", ...frontend]));
      await listening(gateway, programs);
      return new ObjectServer(directory, programs, `http://127.0.0.1:${gateway}`);
    } catch (error) {
      await end(directory, programs);
      throw error;
    }
  }

  private constructor(directory: string, programs: readonly ChildProcess[], endpoint: string) {
    this.#directory = directory;
    this.#programs = programs;
    this.endpoint = endpoint;
  }

  /** A client without retries' pauses, for what tests do themselves. */
  client(bucket: string, endpoint = this.endpoint): S3Client {
    const { credentials, region } = ObjectServer;
    return new S3Client({ endpoint, region, bucket, credentials: { kind: "given", ...credentials }, retryMs: 1 });
  }

  async makeBucket(bucket: string): Promise<void> {
    await this.client(bucket).send({ method: "PUT", key: "" }, [200]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#directory, this.#programs);
  }
}

/** What is long for many is set short: it is one machine, and nothing is kept. */
const configuration = (directory: string, monitor: number): string => `[global]
fsid = ${randomUUID()}
mon host = [v2:127.0.0.1:${monitor}/0]
public network = 127.0.0.0/8
auth cluster required = none
auth service required = none
auth client required = none
ms bind msgr1 = false
ms mon client mode = crc
ms client mode = crc
ms service mode = crc
ms cluster mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
keyring = ${directory}/keyring
run dir = ${directory}
admin socket =
log file =
mon data = ${directory}/mon
mon data avail crit = 0
mon data avail warn = 0
paxos propose interval = 0.05
paxos min wait = 0.01
osd data = ${directory}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd crush update on start = false
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
rgw enable apis = s3
rgw multipart min part size = 1024
rgw max listing results = 10
`;

async function startCluster(directory: string, monitor: number, programs: ChildProcess[]): Promise<void> {
  mkdirSync(join(directory, "mon"));
  mkdirSync(join(directory, "osd"));
  writeFileSync(join(directory, "keyring"), "");
  const text = configuration(directory, monitor);
  writeFileSync(join(directory, "ceph.conf"), text);
  const [monmap, osdmap] = [join(directory, "monmap"), join(directory, "osdmap")];
  const address = `[v2:127.0.0.1:${monitor}/0]`;
  const fsid = /fsid = (.*)/.exec(text)?.[1] ?? "";
  await run("monmaptool", ["--create", "--fsid", fsid, "--addv", "a", address, monmap]);
  await run("osdmaptool", ["--createsimple", "1", osdmap]);
  const of = ["-c", join(directory, "ceph.conf")];
  await run("ceph-mon", ["--mkfs", "-i", "a", "--monmap", monmap, "--osdmap", osdmap, ...of]);
  programs.push(start(directory, "ceph-mon", ["-i", "a"]));
  await run("ceph-osd", ["--mkfs", "-i", "0", ...of]);
  programs.push(start(directory, "ceph-osd", ["-i", "0"]));
  const { accessKeyId, secretAccessKey } = ObjectServer.credentials;
  const keys = ["--access-key", accessKeyId, "--secret-key", secretAccessKey];
  await run("radosgw-admin", ["user", "create", "--uid", "plybox", "--display-name", "plybox", ...keys, ...of]);
}

function start(directory: string, program: string, args: readonly string[]): ChildProcess {
  // Whoever kills the tests does not leave a cluster behind.
  const guarded = ["--pdeathsig", "KILL", program, "-f", "-c", join(directory, "ceph.conf"), ...args];
  return spawn("setpriv", guarded, { stdio: "ignore" });
}

/** One that the kernel gives to nobody who asks for any: it is still free when the program that is to have it is ready. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 30_000);
    const server = createServer().listen(port, "127.0.0.1");
    const isFree = await once(server, "listening").then(
      () => true,
      () => false,
    );
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

async function listening(port: number, programs: readonly ChildProcess[]): Promise<void> {
  for (;;) {
    const ended = programs.find(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
    if (ended !== undefined) throw new Error(`${ended.spawnargs.join(" ")} ended with ${ended.exitCode}`);
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("connect", () => socket.destroy());
    });
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function end(directory: string, programs: readonly ChildProcess[]): Promise<void> {
  for (const program of programs) {
    if (program.exitCode !== null || program.signalCode !== null) continue;
    const closed = once(program, "close");
    program.kill("SIGKILL");
    await closed;
  }
  rmSync(directory, { recursive: true, force: true });
}

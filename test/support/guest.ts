import type { ChildProcess } from "node:child_process";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { InitramfsEntry } from "./initramfs.ts";
import { initramfs } from "./initramfs.ts";

const BUILD = join(import.meta.dirname, "../../build");
const KERNEL = join(BUILD, "guest-kernel");
/** Each takes one connection, so that none can be mistaken for the one before it. */
const SERIAL_PORTS = 4;
const VSOCK_PORT = 5000;

/**
 * A virtual machine whose process 1 is `plyagent --single --vsock-port`. Its AF_VSOCK listener is reached from inside,
 * over the loopback; a virtio serial port carries the bytes from and to this machine.
 */
export class Guest implements AsyncDisposable {
  /** Holds its sockets and its initramfs, as long as it lives. */
  readonly directory: string;
  readonly #process: ChildProcess;
  readonly #exit: Promise<unknown>;
  #portsTaken = 0;
  #console = "";

  private constructor(directory: string) {
    this.directory = directory;
    this.#process = spawn("qemu-system-x86_64", machine(directory), { stdio: ["ignore", "pipe", "pipe"] });
    this.#exit = once(this.#process, "close");
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#console += text;
      });
  }

  /** Boots; whoever connects waits until the agent listens. */
  static async start(): Promise<Guest> {
    if (!existsSync(KERNEL)) throw new Error("there is no guest kernel: node scripts/guest-kernel.mjs");
    const directory = await mkdtemp(join(tmpdir(), "plybox-guest-"));
    try {
      await writeFile(join(directory, "initramfs"), initramfs(contents(directory)));
      const guest = new Guest(directory);
      await once(guest.#process, "spawn");
      return guest;
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  /** What the guest's kernel and its processes wrote to the serial console. */
  get console(): string {
    return this.#console;
  }

  /** A connection of its own to the agent's AF_VSOCK listener. */
  async connect(): Promise<Socket> {
    this.#portsTaken += 1;
    const path = socketPath(this.directory, this.#portsTaken);
    for (;;) {
      const socket = connect(path);
      try {
        await once(socket, "connect");
        await Promise.race([readNewline(socket), this.#ended()]);
        return socket;
      } catch (error) {
        socket.destroy();
        // QEMU makes the sockets a moment after it was started.
        if (!isNotThere(error)) throw error;
      }
    }
  }

  async #ended(): Promise<never> {
    await this.#exit;
    throw new Error(`the guest has ended:\n${this.#console}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#exit;
    await rm(this.directory, { recursive: true, force: true });
  }
}

const socketPath = (directory: string, port: number): string => join(directory, `port-${port}.sock`);
const isNotThere = (error: unknown): boolean =>
  ["ENOENT", "ECONNREFUSED"].includes((error as NodeJS.ErrnoException).code ?? "");

/** The bridge's own first byte: it carries from now on. */
async function readNewline(socket: Socket): Promise<void> {
  for (;;) {
    const first: Buffer | null = socket.read(1);
    if (first !== null) {
      if (first.toString() !== "\n") throw new Error(`the bridge began with ${first.toString("hex")}`);
      return;
    }
    await once(socket, "readable");
  }
}

function machine(directory: string): string[] {
  const port = (number: number): string[] => [
    ...["-chardev", `socket,id=port${number},path=${socketPath(directory, number)},server=on,wait=off`],
    ...["-device", `virtserialport,chardev=port${number},nr=${number}`],
  ];
  const init = `rdinit=/init -- ${VSOCK_PORT} ${SERIAL_PORTS}`;
  return [
    ...["-M", "pc,acpi=off", "-accel", "tcg", "-cpu", "qemu64,+rdrand", "-m", "256"],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"],
    ...["-kernel", join(KERNEL, "vmlinux"), "-initrd", join(directory, "initramfs")],
    // A guest whose process 1 has ended ends.
    ...["-append", `console=ttyS0 quiet panic=-1 ${init}`],
    ...["-device", "virtio-serial-pci"],
    ...Array.from({ length: SERIAL_PORTS }, (_, index) => port(index + 1)).flat(),
  ];
}

function contents(directory: string): InitramfsEntry[] {
  const bridge = join(directory, "guest-bridge");
  execFileSync("gcc", ["-static", "-Os", "-s", "-o", bridge, join(import.meta.dirname, "guest-bridge.c")]);
  const program = (path: string, source: string): InitramfsEntry => ({ path, type: "file", mode: 0o755, source });
  const modules = readdirSync(KERNEL).filter((name) => name.endsWith(".ko"));
  return [
    ...["bin", "dev", "modules", "proc", "tmp"].map((path) => ({ path, type: "directory" as const, mode: 0o755 })),
    // The kernel opens it for process 1 before that could mount anything.
    { path: "dev/console", type: "character-device", mode: 0o600, device: [5, 1] },
    program("init", join(import.meta.dirname, "guest-init.sh")),
    program("bin/busybox", "/bin/busybox"),
    program("guest-bridge", bridge),
    program("plyagent", join(BUILD, "plyagent")),
    ...modules.map((name) => program(`modules/${name}`, join(KERNEL, name))),
  ];
}

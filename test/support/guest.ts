import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { InitramfsEntry } from "./initramfs.ts";
import { initramfs } from "./initramfs.ts";

/** What counts as a hang of a guest, whose processor is emulated. */
export const GUEST_HANG_MS = 900_000;

const KERNEL = join(import.meta.dirname, "../../build/guest-kernel-13");

/** What is run in a guest. */
export interface GuestSystem {
  /** A script for busybox: process 1, with busybox and the kernel's modules in /bin and /modules. */
  readonly init: string;
  readonly arguments: readonly string[];
  /** Programs that it finds beside, by their paths inside. */
  readonly programs: Readonly<Record<string, string>>;
  /** How many virtio serial ports it has. Each takes one connection, so that none can be mistaken for another. */
  readonly ports: number;
  readonly memoryMiB: number;
  /** An image that it sees as /dev/vda, and can only read. */
  readonly disk?: string;
}

/** A virtual machine, emulated; a virtio serial port carries the bytes from and to this machine. */
export class Guest implements AsyncDisposable {
  /** Holds its sockets and its initramfs, as long as it lives. */
  readonly directory: string;
  readonly #process: ChildProcess;
  readonly #exit: Promise<unknown>;
  #portsTaken = 0;
  #console = "";

  private constructor(directory: string, system: GuestSystem) {
    this.directory = directory;
    this.#process = spawn("qemu-system-x86_64", machine(directory, system), { stdio: ["ignore", "pipe", "pipe"] });
    this.#exit = once(this.#process, "close");
    for (const stream of [this.#process.stdout, this.#process.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#console += text;
      });
  }

  /**
   * Boots; whoever connects waits until the other end is there.
   * @param prepare makes what the guest runs, in a directory that goes with it
   */
  static async start(prepare: (directory: string) => GuestSystem | Promise<GuestSystem>): Promise<Guest> {
    if (!existsSync(KERNEL)) throw new Error("there is no guest kernel: node scripts/guest-kernel.mjs");
    const directory = await mkdtemp(join(tmpdir(), "plybox-guest-"));
    try {
      const system = await prepare(directory);
      await writeFile(join(directory, "initramfs"), initramfs(contents(system)));
      const guest = new Guest(directory, system);
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

  /** A connection of its own: to whoever in the guest says a newline first on the next port. */
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

/** The first byte of the other end: it listens from now on. */
async function readNewline(socket: Socket): Promise<void> {
  for (;;) {
    const first: Buffer | null = socket.read(1);
    if (first !== null) {
      if (first.toString() !== "\n") throw new Error(`the other end began with ${first.toString("hex")}`);
      return;
    }
    await once(socket, "readable");
  }
}

function machine(directory: string, { arguments: words, ports, memoryMiB, disk }: GuestSystem): string[] {
  const port = (number: number): string[] => [
    ...["-chardev", `socket,id=port${number},path=${socketPath(directory, number)},server=on,wait=off`],
    ...["-device", `virtserialport,chardev=port${number},nr=${number}`],
  ];
  return [
    // Without CMPXCHG16B: an interrupt right after it finds wrong flags in QEMU 7.2, and the kernel does not survive that.
    ...["-M", "pc,acpi=off", "-accel", "tcg", "-cpu", "qemu64,+rdrand,-cx16", "-m", String(memoryMiB)],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot"],
    ...["-kernel", join(KERNEL, "vmlinux"), "-initrd", join(directory, "initramfs")],
    // A guest whose process 1 has ended ends.
    ...["-append", `console=ttyS0 quiet panic=-1 rdinit=/init -- ${words.join(" ")}`],
    ...["-device", "virtio-serial-pci"],
    ...Array.from({ length: ports }, (_, index) => port(index + 1)).flat(),
    ...(disk === undefined ? [] : ["-drive", `if=virtio,format=raw,readonly=on,file=${disk}`]),
  ];
}

function contents({ init, programs }: GuestSystem): InitramfsEntry[] {
  const program = (path: string, source: string): InitramfsEntry => ({ path, type: "file", mode: 0o755, source });
  const modules = readdirSync(KERNEL).filter((name) => name.endsWith(".ko"));
  return [
    ...["bin", "dev", "modules", "proc", "root", "tmp"].map((path) => ({
      ...{ path, type: "directory" as const, mode: 0o755 },
    })),
    // The kernel opens it for process 1 before that could mount anything.
    { path: "dev/console", type: "character-device", mode: 0o600, device: [5, 1] },
    program("init", init),
    program("bin/busybox", "/bin/busybox"),
    ...Object.entries(programs).map(([path, source]) => program(path, source)),
    ...modules.map((name) => program(`modules/${name}`, join(KERNEL, name))),
  ];
}

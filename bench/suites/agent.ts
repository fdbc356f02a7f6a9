import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { newExecId, newSandboxId } from "../../src/model/ids.ts";
import { AgentConnection } from "../agent-connection.ts";
import type { Benchmark, Measured, Unavailable } from "../benchmark.ts";
import type { Contender } from "../interleave.ts";
import { interleave } from "../interleave.ts";
import type { ProcessMemory } from "../machine.ts";
import { childrenOf, readProcessMemory } from "../machine.ts";
import { findProgram, notInstalled, TRUE } from "../programs.ts";
import type { ReferenceDriver } from "../reference-driver.ts";
import { BARE, contender } from "../references.ts";
import { AGENT } from "../repository.ts";
import { average } from "../statistics.ts";
import type { Workbench } from "../workbench.ts";

const KIB = 1024;
const AGENTS = 20;

const busybox = findProgram("busybox");

/** plyagent as an ordinary process, which is all that its protocol needs, and one connection to it. */
interface PlainAgent {
  readonly driver: ReferenceDriver;
  readonly connection: AgentConnection;
}

async function startAgent(bench: Workbench, name: string): Promise<PlainAgent> {
  const socketPath = join(await bench.makeDirectory(name), "agent.sock");
  const sandbox = newSandboxId();
  const args = ["--sandbox", sandbox, "--incarnation", "1", "--listen-fd", "3"];
  const driver = bench.driver((reference) => [reference, "listen", socketPath, AGENT, ...args]);
  bench.atEnd(`end ${name}`, () => driver.kill());
  await driver.listening();
  const connection = await AgentConnection.open(socketPath, sandbox);
  bench.atEnd(`close the connection to ${name}`, async () => connection[Symbol.dispose]());
  return { driver, connection };
}

async function runCommand(connection: AgentConnection): Promise<number> {
  const exec = newExecId();
  const ms = await connection.request({ type: "exec", exec, argv: TRUE });
  await connection.next("exit");
  await connection.request({ type: "forget", exec });
  return ms;
}

/** From the request on a raw connection until the ack, which says that the program runs. */
export async function agentAck(bench: Workbench): Promise<Benchmark> {
  const { driver, connection } = await startAgent(bench, "agent-ack");
  const reference = { name: BARE, driver: bench.driver((path) => [path, "spawn", ...TRUE]), every: 1 };
  const contenders: Contender[] = [
    { name: "plybox", sample: () => runCommand(connection) },
    contender(reference, "exec"),
    contender(reference),
    { name: "list request, no program", sample: () => connection.request({ type: "list" }) },
  ];
  const [ours, ...references] = await interleave(contenders, bench.sampling);
  const memory = readProcessMemory(driver.pid);
  return {
    name: "agent-ack",
    unit: "ms",
    method: `exec of ${TRUE.join(" ")} on a raw connection until its ack; ${bench.described}`,
    ours: ours?.samples ?? [],
    references,
    notes: [`after these commands the agent has ${memory.rss} KiB resident, ${memory.own} KiB its own`],
  };
}

/** The resident set of agents that have run one command and are idle. */
export async function agentRss(bench: Workbench): Promise<Benchmark> {
  const idle = busybox === undefined ? undefined : [busybox, "sh", "-c", `echo; exec ${busybox} sleep 2147483647`];
  const sleeper = idle && bench.driver((reference) => [reference, "spawn", ...idle]);
  const ours: ProcessMemory[] = [];
  const children: ProcessMemory[] = [];
  const sleepers: ProcessMemory[] = [];
  for (let i = 0; i < AGENTS; i++) {
    bench.signal.throwIfAborted();
    const { driver, connection } = await startAgent(bench, `agent-${i}`);
    await runCommand(connection);
    ours.push(readProcessMemory(driver.pid));
    children.push(...childrenOf(driver.pid).map(readProcessMemory));
    if (sleeper !== undefined) sleepers.push(...(await sleeper.hold(1)).map(readProcessMemory));
  }
  const name = "busybox sleep, static";
  return {
    name: "agent-rss",
    unit: "KiB",
    method: `VmRSS of ${AGENTS} idle agents, each an ordinary process that has run one command`,
    ours: ours.map(({ rss }) => rss),
    references: [
      sleeper === undefined
        ? { name, reason: notInstalled("busybox-static") }
        : { name, samples: sleepers.map(({ rss }) => rss) },
    ],
    notes: [
      shares("the agent", ours),
      ...(children.length > 0 ? [shares("a child that it keeps", children)] : []),
      ...(sleepers.length > 0 ? [shares("busybox sleep", sleepers)] : []),
    ],
  };
}

function shares(of: string, memory: readonly ProcessMemory[]): string {
  const own = average(memory.map((one) => one.own)).toFixed(0);
  const pss = average(memory.map((one) => one.pss)).toFixed(0);
  return `${of}: ${own} KiB its own (private), Pss ${pss} KiB on average of ${memory.length} that live at once`;
}

export async function agentSize(): Promise<Benchmark> {
  const name = "busybox, static";
  const reference: Measured | Unavailable =
    busybox === undefined
      ? { name, reason: notInstalled("busybox-static") }
      : { name, samples: [(await stat(busybox)).size / KIB] };
  return {
    name: "agent-size",
    unit: "KiB",
    method: "bytes of build/plyagent",
    ours: [(await stat(AGENT)).size / KIB],
    references: [reference],
    notes: [hasSymbols(await readFile(AGENT)) ? "it is not stripped" : "it is stripped"],
  };
}

/** Whether a 64-bit little-endian ELF file has a symbol table. */
function hasSymbols(elf: Buffer): boolean {
  const table = Number(elf.readBigUInt64LE(40));
  const entryBytes = elf.readUInt16LE(58);
  const count = elf.readUInt16LE(60);
  const symbolTable = 2;
  return Array.from({ length: count }, (_, i) => elf.readUInt32LE(table + i * entryBytes + 4)).includes(symbolTable);
}

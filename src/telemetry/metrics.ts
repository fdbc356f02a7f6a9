import type { SandboxEvent } from "../model/event.ts";
import type { ObservedRequest, ObservedResult, RequestObserver, RequestWatch } from "../model/request-observer.ts";
import type { UsageSample } from "../model/usage.ts";
import type { Instruments } from "./instruments.ts";

/** What is looked at when somebody asks for the metrics. */
export interface MetricsSources {
  readonly version: string;
  /** The state of each sandbox. */
  readonly sandboxStates: () => readonly string[];
  /** The state of each webhook. */
  readonly webhookStates: () => readonly string[];
  readonly launcherRestarts: () => number;
  /** Of every sandbox, where each is to have series of its own. */
  readonly usage?: () => Promise<readonly UsageSample[]>;
}

/** Observations that wait for the package to be loaded, which takes longer than a start-up should. */
const MAX_WAITING = 10_000;
/** Observations that are counted together: one after the other they find the package's code warm. */
const TOGETHER = 512;

/**
 * The daemon's metrics for Prometheus. What happens is noted at once, and counted when somebody asks or when much has
 * been noted; the package that counts is loaded when somebody first asks, or when very much has been noted.
 */
export class Metrics implements RequestObserver {
  /** Of what `text` answers. */
  readonly contentType = "text/plain; version=0.0.4; charset=utf-8";
  readonly #sources: MetricsSources;
  #waiting: ((instruments: Instruments) => void)[] = [];
  #loading: Promise<Instruments> | undefined;
  #instruments: Instruments | undefined;

  constructor(sources: MetricsSources) {
    this.#sources = sources;
  }

  /** Every metric in Prometheus' text format. */
  async text(): Promise<string> {
    const instruments = await this.#load();
    this.#count(instruments);
    return await instruments.registry.metrics();
  }

  begin({ operation, method }: ObservedRequest): RequestWatch {
    const began = performance.now();
    return {
      run: (serve) => serve(),
      end: (result) => this.#ended({ operation, method }, result, (performance.now() - began) / 1000),
    };
  }

  happened(event: SandboxEvent): void {
    const { type } = event;
    this.#note(({ events }) => events.inc({ type }));
    if (event.type !== "exec.ended") return;
    const { code, limit, wallMs, stdoutBytes, stderrBytes } = event.report;
    const result = limit !== null ? "limit" : code === null ? "signal" : code === 0 ? "success" : "failure";
    this.#note(({ execs, execSeconds, outputBytes }) => {
      execs.inc({ result, limit: limit ?? "" });
      execSeconds.observe(wallMs / 1000);
      outputBytes.inc({ stream: "stdout" }, stdoutBytes);
      outputBytes.inc({ stream: "stderr" }, stderrBytes);
    });
  }

  webhookAttempted({ ok }: { readonly ok: boolean }): void {
    this.#note(({ webhookAttempts }) => webhookAttempts.inc({ result: ok ? "success" : "failure" }));
  }

  #ended(
    { operation, method }: Pick<ObservedRequest, "operation" | "method">,
    { status }: ObservedResult,
    seconds: number,
  ): void {
    this.#note(({ requests, requestSeconds, createSeconds, destroySeconds }) => {
      requests.inc({ operation, method, status: `${status}` });
      requestSeconds.observe({ operation }, seconds);
      if (operation === "createSandbox" && status === 201) createSeconds.observe(seconds);
      if (operation === "removeSandbox" && status === 204) destroySeconds.observe(seconds);
    });
  }

  #note(observation: (instruments: Instruments) => void): void {
    this.#waiting.push(observation);
    const { length } = this.#waiting;
    const instruments = this.#instruments;
    if (instruments === undefined && length >= MAX_WAITING) void this.#load();
    // Behind the answer to whoever is being served.
    if (instruments !== undefined && length === TOGETHER) setImmediate(() => this.#count(instruments));
  }

  #count(instruments: Instruments): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const observation of waiting) observation(instruments);
  }

  #load(): Promise<Instruments> {
    this.#loading ??= this.#make();
    return this.#loading;
  }

  async #make(): Promise<Instruments> {
    const [{ default: prom }, { createInstruments }] = await Promise.all([
      import("prom-client"),
      import("./instruments.ts"),
    ]);
    const instruments = createInstruments(prom, this.#sources);
    this.#count(instruments);
    this.#instruments = instruments;
    return instruments;
  }
}

import type { ProgramProbe } from "./probe.ts";
import type { Ended } from "./target.ts";

/** What became of one run of an attack. */
export type Result =
  | { readonly kind: "succeeded" }
  | { readonly kind: "refused"; readonly step: string; readonly reason: string }
  | { readonly kind: "broken"; readonly why: string };

/** What proves a refusal of any attack: the kernel's words for it, and the death that a seccomp filter gives. */
const FORBIDDEN: readonly string[] = ["EPERM", "EACCES", "EROFS", "ENOSYS", "SIGSYS"];

const SUCCEEDED = 0;
const REFUSED = 10;

/** Reads how an attack ended. One that does not say so in its own words is broken, and proves nothing. */
export function resultOf({ code, signal, stdout, stderr }: Ended): Result {
  if (signal === "SIGSYS") return { kind: "refused", step: "call", reason: "SIGSYS" };
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  if (code === SUCCEEDED && last === "succeeded") return { kind: "succeeded" };
  const [, step, reason] = /^refused (\S+) (\S+)$/.exec(last) ?? [];
  if (code === REFUSED && step !== undefined && reason !== undefined) return { kind: "refused", step, reason };
  const said = `${last} ${stderr.trim().split("\n").at(-1)}`.trim();
  return { kind: "broken", why: `${signal ?? `exit ${code}`}${said === "" ? "" : `: ${said}`}` };
}

/** What a control shows. */
export type Control =
  | { readonly kind: "works" }
  /** This machine has nothing of the kind, whoever asks. */
  | { readonly kind: "impossible"; readonly why: string }
  | { readonly kind: "broken"; readonly why: string };

type Judged = Pick<ProgramProbe, "lacks" | "proof">;

export function judgeControl(result: Result, { lacks = {} }: Judged): Control {
  switch (result.kind) {
    case "succeeded":
      return { kind: "works" };
    case "broken":
      return result;
    case "refused": {
      const why = result.reason === "ENOSYS" ? `this kernel has no ${result.step}` : lacks[result.reason];
      if (why !== undefined) return { kind: "impossible", why };
      return { kind: "broken", why: `refused outside: ${result.step} ${result.reason}` };
    }
  }
}

/** What the run inside shows. */
export type Inside =
  | { readonly kind: "contained"; readonly how: string }
  | { readonly kind: "open" }
  | { readonly kind: "broken"; readonly why: string };

export function judgeInside(result: Result, { proof = [] }: Judged): Inside {
  switch (result.kind) {
    case "succeeded":
      return { kind: "open" };
    case "broken":
      return result;
    case "refused": {
      const how = `${result.step}: ${result.reason}`;
      if (FORBIDDEN.includes(result.reason) || proof.includes(result.reason)) return { kind: "contained", how };
      return { kind: "broken", why: `refused for a reason that proves nothing: ${how}` };
    }
  }
}

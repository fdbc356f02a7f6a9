import type { Ground } from "./ground.ts";
import type { Facts, Probe } from "./probe.ts";
import type { Target } from "./target.ts";
import type { Control, Inside } from "./verdict.ts";
import { judgeControl, judgeInside, resultOf } from "./verdict.ts";

/** What came of one probe. */
export interface Outcome {
  readonly probe: Probe;
  readonly control: Control;
  readonly inside: Inside;
}

/** Two processors are enough for so many; more would only wait. */
const AT_ONCE = 6;

/** Runs each probe outside, where it must succeed, and in the target; in the order that they are given in. */
export async function runSuite(ground: Ground, target: Target, probes: readonly Probe[]): Promise<readonly Outcome[]> {
  const facts = await ground.prepare(target);
  const outcomes: Outcome[] = [];
  const waiting = [...probes.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, probe] = next;
      outcomes[index] = await runProbe(probe, { ground, target, facts });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return outcomes;
}

interface Setting {
  readonly ground: Ground;
  readonly target: Target;
  readonly facts: Facts;
}

async function runProbe(probe: Probe, { ground, target, facts }: Setting): Promise<Outcome> {
  const [control, inside] = await Promise.all(
    probe.language === "TypeScript"
      ? [
          attempt(
            () => probe.outside(facts),
            (harm): Control => (harm ? { kind: "works" } : broken("it did no harm")),
          ),
          attempt(
            () => probe.inside(target, facts),
            (harm): Inside => (harm ? { kind: "open" } : { kind: "contained", how: "stays inside" }),
          ),
        ]
      : [
          attempt(
            () => ground.outside(probe, facts),
            (ended) => judgeControl(resultOf(ended), probe),
          ),
          attempt(
            () => ground.inside(probe, target, facts),
            (ended) => judgeInside(resultOf(ended), probe),
          ),
        ],
  );
  return { probe, control, inside };
}

interface Broken {
  readonly kind: "broken";
  readonly why: string;
}

const broken = (why: string): Broken => ({ kind: "broken", why });

/** What could not be run at all is broken. */
async function attempt<T, V>(run: () => Promise<T>, judge: (result: T) => V): Promise<V | Broken> {
  try {
    return judge(await run());
  } catch (error) {
    return broken(error instanceof Error ? error.message : String(error));
  }
}

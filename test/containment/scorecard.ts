import { release } from "node:os";
import { whyOpen } from "./expected-open.ts";
import type { Probe } from "./probe.ts";
import { LANGUAGES } from "./probe.ts";
import { CATALOGUE } from "./probes/catalogue.ts";
import type { Outcome } from "./suite.ts";

/** What came of every probe with one target. */
export interface Run {
  readonly target: string;
  readonly outcomes: readonly Outcome[];
}

/** One word for an outcome. */
type Mark = "contained" | "OPEN" | "BROKEN" | "no control";

function markOf({ control, inside }: Outcome): Mark {
  if (control.kind === "broken" || inside.kind === "broken") return "BROKEN";
  if (inside.kind === "open") return "OPEN";
  return control.kind === "impossible" ? "no control" : "contained";
}

function detailOf(target: string, { probe, control, inside }: Outcome): string {
  if (control.kind === "broken") return `control: ${control.why}`;
  if (inside.kind === "broken") return inside.why;
  if (control.kind === "impossible") return control.why;
  return inside.kind === "open" ? (whyOpen(target, probe.name) ?? "") : inside.how;
}

/** How many outcomes there are of each mark. */
export function countOf(outcomes: readonly Outcome[]): Readonly<Record<Mark, number>> {
  const counts = { contained: 0, OPEN: 0, BROKEN: 0, "no control": 0 };
  for (const outcome of outcomes) counts[markOf(outcome)]++;
  return counts;
}

function summary(outcomes: readonly Outcome[]): string {
  const { contained, OPEN: open, BROKEN: broken, "no control": without } = countOf(outcomes);
  const rest = `${broken} broken, ${without} without a control on this machine`;
  return `${outcomes.length} probes: ${contained} contained, ${open} open, ${rest}`;
}

/** The scorecard for a terminal. */
export function printed({ target, outcomes }: Run): string {
  const lines = outcomes.map((outcome) => {
    return `${markOf(outcome).padEnd(10)} ${outcome.probe.name.padEnd(28)} ${detailOf(target, outcome)}`;
  });
  return [`Containment: ${target}`, ...lines, summary(outcomes), ""].join("\n");
}

const cell = (text: string): string => text.replaceAll("|", "\\|");

/** docs/scorecard.md. */
export function scorecard(runs: readonly Run[]): string {
  const row = (probe: Probe): string => {
    const results = runs.map(({ target, outcomes }) => {
      const outcome = outcomes.find((one) => one.probe === probe);
      if (outcome === undefined) return "not run";
      const [mark, detail] = [markOf(outcome), detailOf(target, outcome)];
      return detail === "" ? mark : `${mark}: ${detail}`;
    });
    return `| ${[`\`${probe.name}\``, probe.tries, probe.language, ...results].map(cell).join(" | ")} |`;
  };
  const columns = ["probe", "tries to", "language", ...runs.map(({ target }) => target)];
  const head = [`| ${columns.join(" | ")} |`, `|${" --- |".repeat(columns.length)}`];
  const groups = CATALOGUE.map(({ title, probes }) => [`## ${title}`, "", ...head, ...probes.map(row)].join("\n"));
  return `${[heading(runs), ...groups].join("\n\n")}\n`;
}

function heading(runs: readonly Run[]): string {
  const probes = CATALOGUE.flatMap((group) => group.probes);
  const languages = LANGUAGES.map((language) => {
    return `${probes.filter((probe) => probe.language === language).length} in ${language}`;
  });
  return `# Containment scorecard

Written by \`npm run scorecard\` on Linux ${release()}; do not edit.

${runs.map(({ target, outcomes }) => `- **${target}**: ${summary(outcomes)}`).join("\n")}

${EXPLANATION}

Of the probes, ${languages.slice(0, -1).join(", ")} and ${languages.at(-1)}.`;
}

const EXPLANATION = `Each probe is run twice. Its *control* runs outside, where what it tries is allowed, on something harmless, and must
succeed; the same probe then runs in a sandbox, as root inside unless its text says otherwise, and must be refused.

- *contained*: the control succeeded, and inside it was refused. What follows is the step that refused it and the errno,
  \`SIGSYS\` where the seccomp filter ended it, or what it found instead: \`NONE\`, \`EMPTY\`, \`ZEROED\`, \`NO_EFFECT\`.
- *OPEN*: it succeeded inside too, for the reason that follows where it is meant to.
- *BROKEN*: the probe did not run to its end, outside or inside, or was refused for a reason that proves nothing.
- *no control*: refused inside, but nothing shows on this machine that it would succeed anywhere, for the reason that
  follows. It counts for nothing.`;

import { release } from "node:os";
import { LANGUAGES } from "./probe.ts";
import { CATALOGUE } from "./probes/catalogue.ts";
import type { Outcome } from "./suite.ts";

/** One word for an outcome. */
type Mark = "contained" | "OPEN" | "BROKEN" | "no control";

function markOf({ control, inside }: Outcome): Mark {
  if (control.kind === "broken" || inside.kind === "broken") return "BROKEN";
  if (inside.kind === "open") return "OPEN";
  return control.kind === "impossible" ? "no control" : "contained";
}

function detailOf({ control, inside }: Outcome): string {
  if (control.kind === "broken") return `control: ${control.why}`;
  if (inside.kind === "broken") return inside.why;
  if (control.kind === "impossible") return `no control: ${control.why}`;
  return inside.kind === "open" ? "succeeded" : inside.how;
}

/** How many outcomes there are of each mark. */
export function countOf(outcomes: readonly Outcome[]): Readonly<Record<Mark, number>> {
  const counts = { contained: 0, OPEN: 0, BROKEN: 0, "no control": 0 };
  for (const outcome of outcomes) counts[markOf(outcome)]++;
  return counts;
}

const summary = (outcomes: readonly Outcome[]): string => {
  const { contained, OPEN: open, BROKEN: broken, "no control": without } = countOf(outcomes);
  return `${outcomes.length} probes: ${contained} contained, ${open} open, ${broken} broken, ${without} without a control on this machine`;
};

/** The scorecard for a terminal: every probe that is not plainly contained, and the counts. */
export function printed(target: string, outcomes: readonly Outcome[]): string {
  const lines = outcomes.map((outcome) => {
    return `${markOf(outcome).padEnd(10)} ${outcome.probe.name.padEnd(30)} ${detailOf(outcome)}`;
  });
  return [`Containment of ${target}`, ...lines, summary(outcomes)].join("\n");
}

const cell = (text: string): string => text.replaceAll("|", "\\|");

/** docs/scorecard.md. */
export function scorecard(target: string, outcomes: readonly Outcome[]): string {
  const languages = LANGUAGES.map((language) => {
    return `${outcomes.filter(({ probe }) => probe.language === language).length} in ${language}`;
  });
  const groups = CATALOGUE.map(({ title, probes }) => {
    const rows = outcomes
      .filter(({ probe }) => probes.includes(probe))
      .map((outcome) => {
        const { name, tries, language } = outcome.probe;
        return `| \`${name}\` | ${cell(tries)} | ${language} | ${markOf(outcome)} | ${cell(detailOf(outcome))} |`;
      });
    return [
      `## ${title}`,
      "",
      "| probe | tries to | language | result | how |",
      "| --- | --- | --- | --- | --- |",
      ...rows,
    ].join("\n");
  });
  return `${[heading(target, summary(outcomes), languages.join(", ")), ...groups].join("\n\n")}\n`;
}

const heading = (target: string, counts: string, languages: string): string => `# Containment scorecard

Written by \`npm run scorecard\`; do not edit. Backend: **${target}**, run by root on Linux ${release()}.

**${counts}** (${languages}).

Each probe is run twice. Its *control* runs outside, where what it tries is allowed, on something harmless, and must
succeed; the same probe then runs in a sandbox, as root inside unless its text says otherwise, and must be refused.

- *contained*: the control succeeded, and inside it was refused, in the words of the last column: the step that refused it
  and the errno, or a word of the probe's own (\`NONE\`, \`EMPTY\`, \`ZEROED\`, \`NO_EFFECT\`).
- *OPEN*: it succeeded inside too.
- *BROKEN*: the probe did not run to its end, outside or inside, or was refused for a reason that proves nothing.
- *no control*: refused inside, but this machine cannot show that it would succeed anywhere, which the last column
  explains; it counts for nothing.`;

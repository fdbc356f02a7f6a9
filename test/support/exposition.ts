/** One sample of Prometheus' text format. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly type: string;
  readonly samples: Sample[];
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const HELP = new RegExp(`^# HELP (${NAME}) (.+)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? ([-+]?(?:[0-9.]+(?:e[-+]?[0-9]+)?|Inf)|NaN)$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/y;

/**
 * Reads what `GET /metrics` answers, and throws at the first line that a scraper would not take: version 0.0.4 of the
 * text format, with HELP and TYPE before the samples of each family.
 */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith("\n")) throw new Error("the last line does not end");
  const families = new Map<string, Family>();
  let current: { readonly name: string; family: Family | undefined } | undefined;
  for (const line of text.slice(0, -1).split("\n")) {
    if (line === "") continue;
    const help = HELP.exec(line)?.[1];
    if (help !== undefined) {
      if (families.has(help)) throw new Error(`${help} comes twice`);
      current = { name: help, family: undefined };
      continue;
    }
    const [, typed, type = ""] = TYPE.exec(line) ?? [];
    if (typed !== undefined) {
      if (current?.name !== typed || current.family !== undefined) throw new Error(`TYPE without its HELP: ${line}`);
      current.family = { type, samples: [] };
      families.set(typed, current.family);
      continue;
    }
    const sample = parseSample(line);
    if (current?.family === undefined || !belongs(sample.name, current.name, current.family.type)) {
      throw new Error(`a sample outside its family: ${line}`);
    }
    current.family.samples.push(sample);
  }
  for (const [name, family] of families) checkFamily(name, family);
  return families;
}

function parseSample(line: string): Sample {
  const [, name, labelText = "", value = ""] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < labelText.length) {
    const at = LABEL.lastIndex;
    const [, label, escaped = ""] = LABEL.exec(labelText) ?? [];
    if (label === undefined || label in labels) throw new Error(`labels are wrong at ${at}: ${line}`);
    labels[label] = escaped.replace(/\\(.)/g, (_, character: string) => (character === "n" ? "\n" : character));
  }
  return { name, labels, value: Number(value.replace("Inf", "Infinity")) };
}

function belongs(sample: string, family: string, type: string): boolean {
  if (type !== "histogram") return sample === family;
  return [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(sample);
}

function checkFamily(name: string, { type, samples }: Family): void {
  const keys = samples.map(({ name, labels }) => JSON.stringify([name, Object.entries(labels).sort()]));
  if (new Set(keys).size !== keys.length) throw new Error(`${name} has a series twice`);
  if (type === "counter" && !name.endsWith("_total")) throw new Error(`the counter ${name} does not end in _total`);
  if (type === "counter" && samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} is below 0`);
  if (type === "histogram") checkHistogram(name, samples);
}

/** Buckets count up to the whole, for each combination of the other labels. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const { le: _le, ...rest } = sample.labels;
    const key = JSON.stringify(Object.entries(rest).sort());
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  for (const group of groups.values()) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => Number((labels.le ?? "").replace("Inf", "Infinity")));
    const counts = buckets.map(({ value }) => value);
    const whole = group.find((sample) => sample.name === `${name}_count`)?.value;
    const rises = (values: readonly number[]) => values.every((value, i) => i === 0 || value >= (values[i - 1] ?? 0));
    if (!rises(bounds) || !rises(counts)) throw new Error(`the buckets of ${name} do not rise`);
    if (bounds.at(-1) !== Number.POSITIVE_INFINITY || counts.at(-1) !== whole) {
      throw new Error(`the last bucket of ${name} is not the whole`);
    }
    if (!group.some((sample) => sample.name === `${name}_sum`)) throw new Error(`${name} has no sum`);
  }
}

/** The value of the one series that has these labels, and maybe more; undefined where there is none. */
export function sampleValue(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const all = [...families.values()].flatMap(({ samples }) => samples);
  const found = all.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  if (found.length > 1) throw new Error(`${name} has several series of ${JSON.stringify(labels)}`);
  return found[0]?.value;
}

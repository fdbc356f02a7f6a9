const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

/** The texts of all elements of this name, at any depth; servers differ in their namespaces and nothing else. */
export function textsOf(xml: string, name: string): readonly string[] {
  return [...xml.matchAll(elementOf(name))].map(([, text = ""]) => decoded(text));
}

/** The text of the first element of this name. */
export const textOf = (xml: string, name: string): string | undefined => textsOf(xml, name)[0];

/** The inside of all elements of this name, as it is. */
export const elementsOf = (xml: string, name: string): readonly string[] =>
  [...xml.matchAll(elementOf(name))].map(([, inside = ""]) => inside);

const elementOf = (name: string): RegExp => new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, "g");

const decoded = (text: string): string =>
  text.replaceAll(/&(?:#(\d+)|#x([0-9a-fA-F]+)|(\w+));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    return String.fromCodePoint(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal));
  });

import type { Node } from "../../layers/tar/layer-tree.ts";
import { invalid, quoted } from "../dockerfile/refuse.ts";
import { toBytes, toText } from "../file-tree.ts";
import { globPattern, isGlob } from "./glob.ts";

/** As the kernel has it. */
const MOST_LINKS = 40;

/** What is copied: a file, or a directory whose content is meant. */
export interface Found {
  /** The last part of its path, one character a byte. */
  readonly name: string;
  readonly node: Node;
}

/**
 * What a source of a COPY means in a context. Links are followed, but not out of it.
 * @param line of the COPY
 * @throws PlyboxError `build/invalid`
 */
export function findSources(root: Node, source: string, line: number): readonly Found[] {
  const parts = partsOf(source, line);
  let found: readonly Place[] = [{ name: "", trail: [root] }];
  for (const part of parts) found = found.flatMap((place) => step(place, toBytes(part), { line, source }));
  if (found.length === 0) throw invalid(line, `${quoted(source)} is not in the context, or left out by .dockerignore`);
  return found.map(({ name, trail }) => ({ name, node: last(trail) }));
}

/** Directories from the root on, and what they lead to. */
type Trail = readonly Node[];
interface Place {
  readonly name: string;
  readonly trail: Trail;
}
interface Asked {
  readonly line: number;
  readonly source: string;
}

/** A path that begins with a `/` begins at the context, too. */
function partsOf(source: string, line: number): readonly string[] {
  const parts: string[] = [];
  for (const part of source.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) throw invalid(line, `${quoted(source)} leads out of the context`);
  }
  return parts;
}

function step({ trail }: Place, part: string, asked: Asked): readonly Place[] {
  const { children } = last(trail);
  if (!isGlob(part)) return children.has(part) ? [enter(trail, part, asked)] : [];
  const pattern = globPattern(part, asked.line);
  return [...children.keys()]
    .filter((name) => pattern(name))
    .sort()
    .map((name) => enter(trail, name, asked));
}

function enter(trail: Trail, name: string, asked: Asked): Place {
  return { name, trail: walk(trail, [name], { ...asked, left: MOST_LINKS }) };
}

function walk(from: Trail, parts: readonly string[], asked: Asked & { left: number }): Trail {
  let trail = from;
  for (const part of parts) {
    if (part === "..") {
      if (trail.length === 1) throw leadsOut(asked);
      trail = trail.slice(0, -1);
      continue;
    }
    const node = last(trail).children.get(part);
    if (node === undefined)
      throw invalid(asked.line, `${quoted(asked.source)} is a link to what is not in the context`);
    if (node.type !== "symlink") {
      trail = [...trail, node];
      continue;
    }
    if (node.link.startsWith("/")) throw leadsOut(asked, node.link);
    if (asked.left-- === 0) throw invalid(asked.line, `${quoted(asked.source)} has too many links`);
    trail = walk(
      trail,
      node.link.split("/").filter((each) => each !== "" && each !== "."),
      asked,
    );
  }
  return trail;
}

function leadsOut({ line, source }: Asked, link?: string): Error {
  const by = link === undefined ? "" : `, by the link to ${quoted(toText(link))}`;
  return invalid(line, `${quoted(source)} leads out of the context${by}`);
}

/** A trail has its root at least. */
const last = (trail: Trail): Node => trail[trail.length - 1] as Node;

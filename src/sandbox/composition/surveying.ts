import { isUtf8 } from "node:buffer";
import type { Entry } from "../../snapshots/plies/entry.ts";
import { inDirectory, shownPath } from "../../snapshots/plies/entry.ts";
import type { Node } from "../../snapshots/plies/stack.ts";
import { Stack } from "../../snapshots/plies/stack.ts";
import { TreeProgram } from "../../snapshots/plies/tree-program.ts";

/** Where a layer is to lie: absolute paths of plies, the lowest first. */
export interface LayerPlace {
  readonly below: readonly string[];
  readonly layer: string;
  readonly above: readonly string[];
  readonly upper: string;
  /** Paths inside that something else is mounted on. */
  readonly covered: readonly string[];
}

/** Where a layer can be mounted while the sandbox runs; or else, as people are shown it, a path that keeps it from that. */
export type Survey = { readonly points: readonly string[] } | { readonly obstacle: string };

const MOST_POINTS = 256;

/**
 * Finds the directories of a layer at which a sandbox has nothing, where these are all that it would bring. Nothing may
 * change meanwhile.
 */
export async function surveyLayer(place: LayerPlace): Promise<Survey> {
  await using program = new TreeProgram();
  const tree = await program.open(place.layer);
  const sight = await openSight(program, place);
  const points: string[] = [];
  const directories = [""];
  for (let directory = directories.pop(); directory !== undefined; directory = directories.pop()) {
    for await (const entry of tree.list(directory)) {
      const path = inDirectory(directory, entry.name);
      const effect = isBelow(path, place.covered) ? "none" : effectOf(entry, await sight(path));
      if (effect === "change") return { obstacle: shownPath(`/${path}`) };
      if (effect === "merge") directories.push(path);
      if (effect === "addition") points.push(path);
    }
  }
  const odd = points.length > MOST_POINTS ? points[0] : points.find((path) => !isUtf8(Buffer.from(path, "latin1")));
  if (odd !== undefined) return { obstacle: shownPath(`/${odd}`) };
  return { points: points.map((path) => `/${Buffer.from(path, "latin1").toString()}`) };
}

/** What a sandbox has at a path where a layer brings something. */
interface Seen {
  /** In the upper and the layers above; may be a whiteout. */
  readonly above: Node | undefined;
  readonly below: Node | undefined;
  /** Whether the upper has it, and no layer does. */
  readonly isOwn: boolean;
  /** Whether something is mounted there. */
  readonly isCovered: boolean;
}

async function openSight(program: TreeProgram, { below, above, upper, covered }: LayerPlace) {
  const open = (paths: readonly string[]) => (paths.length === 0 ? undefined : Stack.open(program, paths));
  const [under, over] = [await open(below), await open([...above, upper])];
  const [layers, own] = [await open([...below, ...above]), await open([upper])];
  return async (path: string): Promise<Seen> => ({
    above: await over?.find(path),
    below: present(await under?.find(path)),
    isOwn: (await own?.find(path)) !== undefined && present(await layers?.find(path)) === undefined,
    isCovered: covered.includes(`/${path}`),
  });
}

const isBelow = (path: string, directories: readonly string[]): boolean =>
  directories.some((directory) => `/${path}`.startsWith(`${directory}/`));

const present = (node: Node | undefined): Node | undefined => (node?.entry.kind === "whiteout" ? undefined : node);

/** What becomes of a name when a layer that has it comes to lie between two stacks. */
function effectOf(entry: Entry, { above, below, isOwn, isCovered }: Seen): "none" | "merge" | "addition" | "change" {
  const isDirectory = entry.kind === "directory";
  const seen = above ?? below;
  // What is mounted there hides it, as long as there can be a mount.
  if (isCovered && seen !== undefined) return isDirectory === (seen.entry.kind === "directory") ? "none" : "change";
  if (entry.kind === "whiteout") return below === undefined || above?.isClosed === true ? "none" : "change";
  // Overlayfs would note no removal of it, and the next start would show the layer's.
  if (isOwn) return "change";
  const cuts = !isDirectory || entry.opaque;
  if (above !== undefined) {
    if (above.isClosed) return "none";
    // What the directory above goes on in below would be hidden.
    if (cuts && below !== undefined) return "change";
    return isDirectory ? "merge" : "none";
  }
  if (below === undefined) return isDirectory ? "addition" : "change";
  return !cuts && isShownAlike(entry, below.entry) ? "merge" : "change";
}

/** Of two directories, all but the time: what is shown is the upper one's. */
function isShownAlike(a: Entry, b: Entry): boolean {
  const isSame = b.kind === "directory" && a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
  const { attributes } = b;
  return (
    isSame &&
    a.attributes.size === attributes.size &&
    [...a.attributes].every(([name, value]) => attributes.get(name)?.equals(value) === true)
  );
}

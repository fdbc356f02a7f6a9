import { createHash } from "node:crypto";
import type { Operation } from "./overlay-worker.ts";

type Kind = "file" | "directory" | "symlink" | "fifo" | "socket";

interface Inode {
  kind: Kind;
  mode: number;
  uid: number;
  gid: number;
  content: Buffer;
  target: string;
  attributes: Map<string, string>;
  /** Of a directory. */
  names: Map<string, Inode>;
  /** Whether it is of a layer below the one that is written to. */
  isBelow: boolean;
}

const make = (kind: Kind, mode: number, rest: Partial<Inode> = {}): Inode => ({
  ...{ kind, mode, uid: 0, gid: 0, content: Buffer.alloc(0), target: "", attributes: new Map(), names: new Map() },
  isBelow: false,
  ...rest,
});

/** What a tree has under each path, and what names are one file: by the first of them. */
export interface Described {
  readonly nodes: ReadonlyMap<string, string>;
  readonly links: ReadonlyMap<string, string>;
}

/**
 * A tree as an overlay shows it, in memory. What overlayfs does otherwise than other file systems is in it: a file of a
 * layer below is copied when it is first changed, under the one name by which it is; a directory of a layer below cannot be
 * renamed.
 */
export class TreeModel {
  #root = make("directory", 0o755);

  /** What follows is written to a layer of its own. */
  freeze(): void {
    const visit = (inode: Inode) => {
      inode.isBelow = true;
      for (const child of inode.names.values()) visit(child);
    };
    visit(this.#root);
  }

  fork(): TreeModel {
    const copies = new Map<Inode, Inode>();
    const copy = (inode: Inode): Inode => {
      const known = copies.get(inode);
      if (known !== undefined) return known;
      const made = { ...inode, attributes: new Map(inode.attributes) };
      copies.set(inode, made);
      made.names = new Map([...inode.names].map(([name, child]) => [name, copy(child)]));
      return made;
    };
    const fork = new TreeModel();
    fork.#root = copy(this.#root);
    return fork;
  }

  /** Paths of all that is there, or of directories alone, in a fixed order; "" is the root. */
  paths(kind?: Kind): string[] {
    const paths: string[] = kind === "directory" ? [""] : [];
    for (const { path, inode } of walk(this.#root)) if (kind === undefined || inode.kind === kind) paths.push(path);
    return paths;
  }

  describe(): Described {
    const [nodes, links] = [new Map<string, string>(), new Map<string, string>()];
    const firsts = new Map<Inode, string>();
    for (const { path, inode } of walk(this.#root)) {
      const { kind, mode, uid, gid, content, target, attributes } = inode;
      const shown = kind === "file" ? createHash("sha256").update(content).digest("hex") : target;
      nodes.set(path, JSON.stringify([kind, mode, uid, gid, shown, [...attributes].sort()]));
      const first = firsts.get(inode);
      if (first !== undefined) links.set(path, first);
      else if (kind !== "directory") firsts.set(inode, path);
    }
    return { nodes, links };
  }

  /** Does it, unless that cannot be done; answers whether it could. */
  apply([name, path, ...args]: Operation): boolean {
    return OPERATIONS[name]?.(this, String(path), args) ?? false;
  }

  find(path: string): Inode | undefined {
    let inode: Inode | undefined = this.#root;
    for (const name of path === "" ? [] : path.split("/")) inode = inode?.names.get(name);
    return inode;
  }

  /** The file to be changed under this path: a copy where it is of a layer below. */
  own(path: string): Inode | undefined {
    const inode = this.find(path);
    if (inode === undefined || !inode.isBelow || inode.kind === "directory") return inode;
    const copy = { ...inode, attributes: new Map(inode.attributes), isBelow: false };
    this.#directoryOf(path)?.names.set(nameOf(path), copy);
    return copy;
  }

  add(path: string, inode: Inode): boolean {
    const directory = this.#directoryOf(path);
    if (directory?.kind !== "directory" || directory.names.has(nameOf(path))) return false;
    directory.names.set(nameOf(path), inode);
    return true;
  }

  remove(path: string): boolean {
    return this.#directoryOf(path)?.names.delete(nameOf(path)) ?? false;
  }

  #directoryOf(path: string): Inode | undefined {
    return this.find(path.slice(0, Math.max(0, path.lastIndexOf("/"))));
  }
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

function* walk(directory: Inode, prefix = ""): Generator<{ path: string; inode: Inode }> {
  for (const name of [...directory.names.keys()].sort()) {
    const inode = directory.names.get(name) as Inode;
    yield { path: prefix + name, inode };
    yield* walk(inode, `${prefix}${name}/`);
  }
}

type Apply = (model: TreeModel, path: string, args: readonly (string | number)[]) => boolean;

/** Changes what is there, if it is of one of the kinds. */
const change =
  (kinds: readonly Kind[], alter: (inode: Inode, args: readonly (string | number)[]) => boolean | undefined): Apply =>
  (model, path, args) => {
    const there = model.find(path);
    if (there === undefined || !kinds.includes(there.kind)) return false;
    const inode = model.own(path);
    return inode !== undefined && alter(inode, args) !== false;
  };

const ALL: readonly Kind[] = ["file", "directory", "symlink", "fifo", "socket"];

const bytesOf = (byte: string | number | undefined, count: string | number | undefined): Buffer =>
  Buffer.alloc(Number(count), Number(byte));

const OPERATIONS: Readonly<Record<string, Apply>> = {
  write: (model, path, [byte, count]) => {
    if (model.find(path) === undefined && !model.add(path, make("file", 0o644))) return false;
    return alterFile(model, path, () => bytesOf(byte, count));
  },
  append: (model, path, [byte, count]) =>
    alterFile(model, path, (content) => Buffer.concat([content, bytesOf(byte, count)])),
  writeAt: (model, path, [offset, byte, count]) =>
    alterFile(model, path, (content) => {
      // Nothing that is written makes nothing longer.
      if (Number(count) === 0) return content;
      const bytes = Buffer.alloc(Math.max(content.length, Number(offset) + Number(count)));
      content.copy(bytes);
      bytesOf(byte, count).copy(bytes, Number(offset));
      return bytes;
    }),
  truncate: (model, path, [size]) =>
    alterFile(model, path, (content) => Buffer.concat([content, Buffer.alloc(Number(size))]).subarray(0, Number(size))),
  mkdir: (model, path) => model.add(path, make("directory", 0o755)),
  rmdir: (model, path) => isEmptyDirectory(model.find(path)) && model.remove(path),
  unlink: (model, path) => {
    const inode = model.find(path);
    return inode !== undefined && inode.kind !== "directory" && model.remove(path);
  },
  rename: (model, path, [to]) => rename(model, path, String(to)),
  link: (model, path, [to]) => {
    const inode = model.find(path);
    if (inode === undefined || inode.kind === "directory" || model.find(String(to)) !== undefined) return false;
    const owned = model.own(path);
    return owned !== undefined && model.add(String(to), owned);
  },
  symlink: (model, path, [target]) => model.add(path, make("symlink", 0o777, { target: String(target) })),
  chmod: change(["file", "directory", "fifo", "socket"], (inode, [mode]) => {
    inode.mode = Number(mode);
    return true;
  }),
  chown: change(ALL, (inode, [uid, gid]) => {
    [inode.uid, inode.gid] = [Number(uid), Number(gid)];
    return true;
  }),
  setAttribute: change(ALL, (inode, [name, value]) => {
    inode.attributes.set(String(name), String(value));
    return true;
  }),
  removeAttribute: (model, path, [name]) =>
    // Of what is not there nothing is copied.
    model.find(path)?.attributes.has(String(name)) === true &&
    change(ALL, (inode) => inode.attributes.delete(String(name)))(model, path, []),
  mkfifo: (model, path) => model.add(path, make("fifo", 0o644)),
  mksocket: (model, path) => model.add(path, make("socket", 0o644)),
};

const alterFile = (model: TreeModel, path: string, alter: (content: Buffer) => Buffer): boolean =>
  change(["file"], (inode) => {
    inode.content = alter(inode.content);
    return true;
  })(model, path, []);

const isEmptyDirectory = (inode: Inode | undefined): boolean => inode?.kind === "directory" && inode.names.size === 0;

function rename(model: TreeModel, path: string, to: string): boolean {
  const [inode, there] = [model.find(path), model.find(to)];
  const isInside = to === path || to.startsWith(`${path}/`);
  if (inode === undefined) return false;
  // Of two names of one file none goes; names of a file below are of two already.
  if (there === inode && (to === path || !inode.isBelow)) return true;
  if (isInside || (inode.kind === "directory" && inode.isBelow)) return false;
  if (there !== undefined) {
    const fits = inode.kind === "directory" ? isEmptyDirectory(there) : there.kind !== "directory";
    if (!fits) return false;
  }
  const owned = model.own(path);
  if (owned === undefined) return false;
  if (there !== undefined) model.remove(to);
  return model.add(to, owned) && model.remove(path);
}

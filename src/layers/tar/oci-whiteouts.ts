import { OPAQUE } from "./attributes.ts";
import type { Node } from "./layer-tree.ts";
import { isWhiteout } from "./layer-tree.ts";

const WHITEOUT = ".wh.";
const OPAQUE_MARKER = ".wh..wh..opq";
const OVERLAY = /^(?:trusted|user)\.overlay\./;

const MARKER: Node = {
  ...{ type: "file", mode: 0o644, uid: 0, gid: 0, mtime: 0, link: "", major: 0, minor: 0, size: 0, offset: 0 },
  ...{ attributes: new Map(), children: new Map(), isImplied: false },
};

/** The same tree with what it removes told in the names, as the OCI format has it, and not as overlayfs does. */
export function withOciWhiteouts(root: Node): Node {
  /** A file that has several names is one file afterwards, too. */
  const made = new Map<Node, Node>();
  const translated = (node: Node): Node => {
    const known = made.get(node);
    if (known !== undefined) return known;
    const attributes = new Map([...node.attributes].filter(([key]) => !OVERLAY.test(key)));
    const result: Node = { ...node, attributes, children: new Map() };
    made.set(node, result);
    return result;
  };
  // By a list and not by recursion: a tree may be deeper than the stack.
  for (const pending = [root]; pending.length > 0; ) {
    const node = pending.pop() as Node;
    const { children } = translated(node);
    if (node.attributes.has(OPAQUE)) children.set(OPAQUE_MARKER, { ...MARKER });
    for (const [name, child] of node.children) {
      if (isWhiteout(child)) children.set(`${WHITEOUT}${name}`, { ...MARKER });
      else children.set(name, translated(child));
      if (child.type === "directory") pending.push(child);
    }
  }
  return translated(root);
}

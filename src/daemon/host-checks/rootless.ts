import { statSync } from "node:fs";
import { join } from "node:path";
import { allotted, nameOf } from "../rootless/subordinate-ids.ts";
import type { Check, Host, Verdict } from "./check.ts";
import { ok, warn } from "./check.ts";

const SET_USER_ID = 0o4000;
/** More than a sandbox has; what distributions allot. */
const WANTED = 65_536;

const mapper = (name: "newuidmap" | "newgidmap"): Check => ({
  name,
  required: false,
  examine({ path }) {
    const remedy = "apt-get install uidmap";
    const found = path.map((directory) => join(directory, name)).find((file) => modeOf(file) !== undefined);
    if (found === undefined) return warn("not installed; without it, a user's sandboxes have a single id", remedy);
    if (((modeOf(found) ?? 0) & SET_USER_ID) !== 0) return ok(`${found}, set-user-id`);
    // Some distributions give it a file capability in its place, which the trial of a namespace shows.
    return warn(`${found} is not set-user-id; it needs that, or CAP_SETUID of its file`, `chmod u+s ${found}`);
  },
});

/** What a user without privileges needs. For root it is told what such a user would find. */
export const ROOTLESS_CHECKS: readonly Check[] = [
  mapper("newuidmap"),
  mapper("newgidmap"),
  {
    name: "subordinate ids",
    required: false,
    examine(host) {
      if (host.uid === 0) return ok("root needs none");
      return subordinateIds(host);
    },
  },
  {
    name: "own namespace",
    required: true,
    async examine({ uid, tryOwnNamespace, nativeProgram }) {
      if (uid === 0) return ok("root needs none");
      try {
        nativeProgram("plylaunch");
      } catch {
        return warn("not tried: plylaunch is not built", "npm run build:native");
      }
      const ids = await tryOwnNamespace();
      if (ids > 1) return ok(`can be made, with ${ids} ids`);
      return warn("can be made, with a single id: inside, nobody but root exists", "see subordinate ids");
    },
  },
];

function subordinateIds({ etc, uid }: Host): Verdict {
  const name = nameOf(`${etc}/passwd`, uid);
  const [uids, gids] = ["subuid", "subgid"].map((file) => allotted(`${etc}/${file}`, { uid, name }));
  const last = 100_000 + WANTED - 1;
  const remedy = `usermod --add-subuids 100000-${last} --add-subgids 100000-${last} ${name ?? uid}`;
  if (uids === undefined || gids === undefined) {
    return warn(
      `${etc}/subuid and ${etc}/subgid allot none to ${name ?? uid}`,
      name === undefined ? undefined : remedy,
    );
  }
  const count = Math.min(uids.count, gids.count);
  if (count < WANTED - 1) return warn(`${count}, less than the ids of a system`, remedy);
  return ok(`${count} from ${uids.first} on`);
}

function modeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.mode;
}

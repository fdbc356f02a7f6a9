import { expect, it } from "vitest";
import { defaultDirectories } from "./default-directories.ts";

it("are the machine's for root, whatever its environment says", () => {
  const env = { HOME: "/root", XDG_RUNTIME_DIR: "/run/user/0", XDG_STATE_HOME: "/root/state" };
  expect(defaultDirectories(env, 0)).toEqual({ stateDir: "/var/lib/plybox", runDir: "/run/plybox" });
});

it.each([
  [{ HOME: "/home/ann" }, "/home/ann/.local/state/plybox", "/home/ann/.local/state/plybox/run"],
  [{ HOME: "/home/ann", XDG_RUNTIME_DIR: "/run/user/7/" }, "/home/ann/.local/state/plybox", "/run/user/7/plybox"],
  [{ HOME: "/home/ann", XDG_STATE_HOME: "/srv/ann" }, "/srv/ann/plybox", "/srv/ann/plybox/run"],
  [{ HOME: "/home/ann", XDG_STATE_HOME: "here" }, "/home/ann/.local/state/plybox", "/home/ann/.local/state/plybox/run"],
])("are the user's own for another: %j", (env, stateDir, runDir) => {
  expect(defaultDirectories(env, 7)).toEqual({ stateDir, runDir });
});

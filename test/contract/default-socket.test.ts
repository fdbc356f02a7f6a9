import { describe, expect, it } from "vitest";
import { defaultSocket } from "../../src/client/default-socket.ts";
import { defaultDirectories } from "../../src/model/default-directories.ts";

const ENVIRONMENTS: readonly NodeJS.ProcessEnv[] = [
  {},
  { HOME: "/home/ann" },
  { HOME: "/home/ann/", XDG_RUNTIME_DIR: "/run/user/7/" },
  { HOME: "/home/ann", XDG_RUNTIME_DIR: "run", XDG_STATE_HOME: "/srv/ann" },
  { HOME: "here", XDG_STATE_HOME: "there", XDG_RUNTIME_DIR: "" },
];

describe.each([0, 7])("the default socket of the user %i", (uid) => {
  it.each(ENVIRONMENTS)("is in the run directory of that user's daemon: %j", (env) => {
    expect(defaultSocket(env, uid)).toBe(`${defaultDirectories(env, uid).runDir}/plybox.sock`);
  });

  it("is where the variables of the daemon say", () => {
    const env = { HOME: "/home/ann", XDG_RUNTIME_DIR: "/run/user/7", PLYBOX_RUN_DIR: "/a" };
    expect(defaultSocket(env, uid)).toBe("/a/plybox.sock");
    expect(defaultSocket({ ...env, PLYBOX_SOCKET: "/b.sock" }, uid)).toBe("/b.sock");
  });
});

import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { OrdinaryUser } from "../support/ordinary-user.ts";

describe.each([
  { ids: "with newuidmap", subordinateIds: true },
  { ids: "with a single id", subordinateIds: false },
])("a user without privileges, $ids,", ({ subordinateIds }) => {
  let user: OrdinaryUser;
  beforeAll(async () => {
    user = await OrdinaryUser.make({ subordinateIds });
  });
  afterAll(() => user[Symbol.dispose]());

  describe("runs", () => {
    it("a program as root inside, and nothing stays", async () => {
      const script = "import os; print(6*7, os.getuid(), os.getpid() > 1, open('/proc/self/uid_map').read().split())";
      const map = subordinateIds ? "'0', '0', '1', '1', '1', '65535'" : "'0', '0', '1'";
      expect(await user.run(["run", "--", "python3", "-c", script])).toEqual({
        exitCode: 0,
        stdout: `42 0 True [${map}]\n`,
        stderr: "",
      });
      expect(user.processes()).toEqual([]);
    });

    it("a program whose exit code is told, and one that a signal ends", async () => {
      expect(await user.run(["run", "--", "sh", "-c", "exit 7"])).toMatchObject({ exitCode: 7 });
      expect(await user.run(["run", "--", "sh", "-c", "kill -TERM $$"])).toMatchObject({ exitCode: 143 });
    });

    it("a program on what is the user's own, which stays the user's", async () => {
      const work = join(user.home, "work");
      mkdirSync(work);
      chownSync(work, user.uid, user.uid);
      const made = await user.run(["run", "--allow-write", work, "--", "sh", "-c", `echo made > ${work}/file`]);
      expect(made).toMatchObject({ exitCode: 0, stderr: "" });
      expect(await user.runProgram("stat", "-c", "%u %g", join(work, "file"))).toMatchObject({
        stdout: `${user.uid} ${user.uid}\n`,
      });
    });

    it("nothing that reads what another user keeps", async () => {
      const secret = join(user.home, "secret");
      writeFileSync(secret, "of root\n", { mode: 0o600 });
      const read = (mode: number) => {
        chmodSync(secret, mode);
        return user.run(["run", "--allow-read", user.home, "--", "cat", secret]);
      };
      expect(await read(0o644)).toMatchObject({ exitCode: 0, stdout: "of root\n" });
      expect(await read(0o600)).toMatchObject({ exitCode: 1, stdout: "" });
    });

    it("nothing under a limit that nothing here can hold", async () => {
      const refused = await user.run(["run", "--memory-limit", "100M", "--", "true"]);
      expect(refused).toMatchObject({ exitCode: 125, stdout: "" });
      expect(refused.stderr).toContain("limits.memoryBytes cannot be held");
    });
  });
});

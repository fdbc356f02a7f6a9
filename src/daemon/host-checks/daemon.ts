import type { Check } from "./check.ts";
import { missing, ok, warn } from "./check.ts";

export const DAEMON_CHECKS: readonly Check[] = [
  {
    name: "registry",
    required: false,
    async examine() {
      try {
        const { default: Database } = await import("better-sqlite3");
        const database = new Database(":memory:");
        const version = database.prepare("select sqlite_version() as version").get() as { version: string };
        database.close();
        return ok(`SQLite ${version.version}`);
      } catch (error) {
        return missing(
          `better-sqlite3 does not load: ${(error as Error).message.split("\n")[0]}`,
          "npm rebuild better-sqlite3",
        );
      }
    },
  },
  {
    name: "daemon",
    required: false,
    async examine({ socket }) {
      const { Plybox } = await import("../../client/index.ts");
      const plybox = new Plybox({ socketPath: socket });
      try {
        return ok(`version ${(await plybox.version()).version} answers at ${socket}`);
      } catch (error) {
        return warn(`${(error as Error).message}; plybox run needs none`, "plybox serve");
      } finally {
        plybox.close();
      }
    },
  },
];

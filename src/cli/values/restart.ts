import { PlyboxError } from "../../model/errors.ts";
import type { StartCommandSpec } from "../../model/start-command.ts";
import { parseCount } from "./numbers.ts";

/**
 * `never`, `always`, `on-failure`, or one of the last two with how often at most: `on-failure:5`.
 * @throws PlyboxError `input/invalid`
 */
export function parseRestart(text: string): Pick<StartCommandSpec, "restart" | "maxRestarts"> {
  const [policy = "", count] = text.split(":", 2);
  if (policy === "never" && count === undefined) return { restart: policy };
  if (policy === "always" || policy === "on-failure") {
    return { restart: policy, ...(count !== undefined && { maxRestarts: parseCount(count) }) };
  }
  throw new PlyboxError(
    "input/invalid",
    `not a restart policy: ${JSON.stringify(text.slice(0, 40))}; write never, on-failure, on-failure:5 or always`,
  );
}

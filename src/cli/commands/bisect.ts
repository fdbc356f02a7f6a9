import type { Command } from "commander";
import type { Bisection, BisectStep } from "../../client/index.ts";
import type { ConnectOptions } from "../connect.ts";
import { connect, connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption } from "../options.ts";
import { causeText } from "../render/checkpoint.ts";
import { writeJson } from "../render/json.ts";

interface BisectOptions extends ConnectOptions {
  readonly run: string;
  readonly json?: true;
}

export function defineBisect(program: Command, context: CliContext): void {
  const command = program
    .command("bisect")
    .description(
      "Find the first checkpoint at which a test fails, by running it in forks; the sandbox is left as it is.",
    )
    .argument("<sandbox>", "id or name")
    .requiredOption("--run <line>", "a line for /bin/sh: exit code 0 is good, 1 to 124 bad")
    .addOption(jsonOption("print what was found as JSON"));
  connectOptions(command).action(async (ref: string, options: BisectOptions) => {
    const sandbox = await (await connect(options, context)).get(ref);
    const onStep = ({ point, isGood }: BisectStep): void => {
      context.stderr.write(
        `${isGood ? "good" : "bad "}  ${point === null ? "now" : `${point.id}  ${causeText(point)}`}\n`,
      );
    };
    const found = await sandbox.bisect(options.run, { onStep });
    if (options.json) writeJson(context.stdout, found);
    else context.stdout.write(`${textOf(found)}\n`);
    if (found.kind !== "found") context.exitCode = 1;
  });
}

function textOf(found: Bisection): string {
  if (found.kind !== "found") {
    if (found.kind === "always-good") return "the test succeeds now: there is nothing to find";
    return "the test fails at the oldest checkpoint already";
  }
  const { lastGood, firstBad, command } = found;
  const between = `good at ${lastGood.id}, bad ${firstBad === null ? "now" : `at ${firstBad.id}`}`;
  return command === null ? between : `${between}\nbroken by: ${command}`;
}

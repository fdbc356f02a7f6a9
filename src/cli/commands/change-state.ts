import type { Command } from "commander";
import type { ChangeOptions } from "../change-each.ts";
import { changeEach } from "../change-each.ts";
import { connectOptions } from "../connect.ts";
import type { CliContext } from "../context.ts";
import { jsonOption } from "../options.ts";

type Define = (program: Command, context: CliContext) => void;

/** A command that takes each of some sandboxes from one state to another. */
const define =
  (name: "pause" | "resume" | "stop"): Define =>
  (program, context) => {
    const command = program
      .command(name)
      .argument("<sandbox...>", "ids or names")
      .addOption(jsonOption("print what became of each as JSON"));
    connectOptions(command).action(async (refs: string[], options: ChangeOptions) => {
      await changeEach(refs, options, context, (sandbox) => sandbox[name]());
    });
  };

interface StartOptions extends ChangeOptions {
  readonly wait?: true;
}

const defineStarting =
  (name: "start" | "restart"): Define =>
  (program, context) => {
    const command = program
      .command(name)
      .argument("<sandbox...>", "ids or names")
      .option("--wait", "wait until they are ready")
      .addOption(jsonOption("print what became of each as JSON"));
    connectOptions(command).action(async (refs: string[], options: StartOptions) => {
      await changeEach(refs, options, context, async (sandbox) => {
        const view = await sandbox[name]();
        return options.wait ? await sandbox.waitReady() : view;
      });
    });
  };

export const definePause = define("pause");
export const defineResume = define("resume");
export const defineStop = define("stop");
export const defineStart = defineStarting("start");
export const defineRestart = defineStarting("restart");

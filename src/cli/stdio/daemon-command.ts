import type { Command } from "../../client/index.ts";
import type { RelayedCommand } from "./relayed-command.ts";

/** A command in a sandbox of a daemon. */
export function daemonCommand(command: Command): RelayedCommand {
  return {
    [Symbol.asyncIterator]: () => command[Symbol.asyncIterator](),
    write: (bytes) => command.write(bytes),
    endInput: () => command.end(),
    signal: (signal, scope) => command.kill(signal, { scope }),
    close: () => command.close(),
  };
}

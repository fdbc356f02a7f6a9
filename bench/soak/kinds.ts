import type { Sandbox } from "../../src/client/index.ts";
import type { Work } from "./work.ts";
import { mustEqual } from "./work.ts";

/** Commands of every sort that a caller uses: collected, with stdin, followed, and left to run and read afterwards. */
async function runCommand(sandbox: Sandbox, number: number): Promise<void> {
  const expected = `${number}\n`;
  switch (number % 4) {
    case 0: {
      const { stdout, exitCode } = await sandbox.exec(["echo", String(number)]);
      mustEqual("a command's exit code", exitCode, 0);
      mustEqual("a command's output", stdout, expected);
      break;
    }
    case 1: {
      const { stdout } = await sandbox.exec("cat", { stdin: expected });
      mustEqual("what cat gave back", stdout, expected);
      break;
    }
    case 2: {
      let heard = "";
      const onStdout = (text: string): void => {
        heard += text;
      };
      await sandbox.exec(["echo", String(number)], { onStdout });
      mustEqual("a followed command's output", heard, expected);
      break;
    }
    default: {
      const { exec } = await sandbox.detach(["echo", String(number)]);
      await using command = await sandbox.attach(exec);
      let bytes = 0;
      for await (const event of command) if (event.kind === "output") bytes += event.bytes.length;
      mustEqual("bytes of a command that was left", bytes, expected.length);
    }
  }
}

/** A terminal that is typed into, resized and left by its own end. */
async function useTerminal(sandbox: Sandbox, number: number): Promise<void> {
  await using terminal = await sandbox.terminal({
    command: "stty -echo; read line; echo got $line",
    columns: 80,
    rows: 24,
  });
  await terminal.resize({ columns: 100, rows: 30 });
  await terminal.write(`${number}\r`);
  let shown = "";
  for await (const bytes of terminal) shown += Buffer.from(bytes).toString();
  if (!shown.includes(`got ${number}\r\n`)) throw new Error(`terminal ${number} showed ${JSON.stringify(shown)}`);
  mustEqual("a terminal's exit code", (await terminal.exit).exitCode, 0);
}

/** In one file's life. */
export const FILE_OPERATIONS = 6;

/** A file's life: made, read, listed, moved and removed. */
async function useFiles({ files }: Sandbox, number: number): Promise<void> {
  const [directory, text] = [`/tmp/soak-${number}`, `file ${number}\n`];
  await files.write(`${directory}/a`, text, { parents: true });
  mustEqual("a file's content", await files.readText(`${directory}/a`), text);
  mustEqual("a file's size", (await files.stat(`${directory}/a`)).size, text.length);
  await files.move(`${directory}/a`, `${directory}/b`);
  const names: unknown[] = [];
  for await (const { path } of files.list(directory)) names.push(path);
  mustEqual("a directory's entries", names.join(), "b");
  await files.remove(directory, { recursive: true });
}

export const TERMINALS = { name: "terminals", atOnce: 4, run: useTerminal } as const satisfies Omit<Work, "times">;
export const FILES = {
  name: `files of ${FILE_OPERATIONS} operations`,
  atOnce: 4,
  run: useFiles,
} as const satisfies Omit<Work, "times">;
export const COMMANDS = { name: "commands", atOnce: 16, run: runCommand } as const satisfies Omit<Work, "times">;

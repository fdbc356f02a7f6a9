// One client that may be killed at any moment: runs a command for each key that it is given, some at a time, and prints
// a line of JSON with what each has told it. Usage: node exec-client.mjs CLIENT_MODULE SOCKET SANDBOX KEY...
const [module, socketPath, ref, ...keys] = process.argv.slice(2);
const { Plybox } = await import(module);
const plybox = new Plybox({ socketPath });
const sandbox = await find();

/** The daemon may be away just when this begins. */
async function find() {
  for (;;) {
    try {
      return await plybox.get(ref);
    } catch (error) {
      if (error.code !== "daemon/unreachable" && error.code !== "daemon/stopping") throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function run(key) {
  const line = `echo ${key} >> /tmp/starts; for i in 1 2 3 4 5 6; do echo ${key} $i; sleep 0.05; done`;
  const command = await sandbox.spawn(line, { idempotencyKey: key });
  // A NUL stands for each byte that is told to be lost, in its place.
  let text = "";
  for await (const event of command) {
    if (event.kind === "output") text += Buffer.from(event.bytes).toString();
    if (event.kind === "lost") text += "\0".repeat(event.to - event.from);
  }
  const { stdoutBytes, exitCode } = await command.exit;
  process.stdout.write(`${JSON.stringify({ key, text, stdoutBytes, exitCode })}\n`);
}

await Promise.all(
  Array.from({ length: 10 }, async () => {
    for (let key = keys.shift(); key !== undefined; key = keys.shift()) await run(key);
  }),
);
plybox.close();

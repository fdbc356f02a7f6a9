import type { TestContext } from "vitest";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Workbox } from "../../support/workbox.ts";

let box: Workbox;

beforeAll(async () => {
  box = await Workbox.open();
});
afterAll(() => box[Symbol.asyncDispose]());

const OFFLINE = { npm_config_audit: "false", npm_config_fund: "false", npm_config_update_notifier: "false" };

/** A version manager may keep it elsewhere than below /usr, which is all that the `host` layer shows. */
async function needNode({ skip }: TestContext): Promise<void> {
  if ((await box.run("command -v node npm || true")) === "") skip("this machine's node is not below /usr");
}

describe.concurrent("node", () => {
  beforeEach(needNode);

  it("has worker threads, child processes and a server on the loopback interface", async () => {
    const program = `
      const { Worker } = require("node:worker_threads");
      const { execFileSync, fork } = require("node:child_process");
      const http = require("node:http");
      const worker = new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true });
      worker.once("message", (answer) => {
        const server = http.createServer((request, response) => response.end("path " + request.url));
        server.listen(0, "127.0.0.1", async () => {
          const answered = await fetch("http://127.0.0.1:" + server.address().port + "/here");
          console.log(answer, execFileSync("echo", ["child"]).toString().trim(), await answered.text());
          server.close();
        });
      });`;
    expect(await box.run("node -", { stdin: program })).toBe("42 child path /here\n");
  });

  it("installs a package from a tarball, with its scripts and its command", async () => {
    const files = {
      "package.json": JSON.stringify({
        name: "greeter",
        version: "1.0.0",
        bin: { greet: "greet.js" },
        scripts: { postinstall: "node -p process.version > installed" },
      }),
      "greet.js": "#!/usr/bin/env node\nconsole.log('greetings from', __dirname.split('/').slice(-2).join('/'));\n",
    };
    for (const [name, content] of Object.entries(files))
      await box.sandbox.files.write(`/root/greeter/${name}`, content, { parents: true });
    const script = `mkdir app && cd app && tarball=$(npm pack --silent ../greeter) && npm init -y > /dev/null
      npm pkg set scripts.go=greet && npm install --silent --offline "./$tarball" && npm run --silent go
      grep -c ^v node_modules/greeter/installed`;
    expect(await box.run(script, { env: OFFLINE })).toBe("greetings from node_modules/greeter\n1\n");
  });

  it("compiles and runs WebAssembly, whose code is made at run time", async () => {
    const add = "0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b";
    const line = `new WebAssembly.Instance(new WebAssembly.Module(Buffer.from("${add}", "hex"))).exports.add(40, 2)`;
    expect(await box.run(`node -p '${line}'`)).toBe("42\n");
  });
});

/** Writes a wheel by hand: a zip with a module and what pip wants to know of it. */
const MAKE_WHEEL = `
import base64, hashlib, zipfile
info = "answer-1.0.dist-info"
files = {
    "answer.py": "def main():\\n    print('the answer is', 6 * 7)\\n",
    f"{info}/METADATA": "Metadata-Version: 2.1\\nName: answer\\nVersion: 1.0\\n",
    f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: by-hand\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    f"{info}/entry_points.txt": "[console_scripts]\\nanswer = answer:main\\n",
}
def row(name, text):
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(text)}\\n"
record = "".join(row(*file) for file in files.items()) + f"{info}/RECORD,,\\n"
with zipfile.ZipFile("answer-1.0-py3-none-any.whl", "w") as wheel:
    for name, text in [*files.items(), (f"{info}/RECORD", record)]:
        wheel.writestr(name, text)
`;

describe.concurrent("python", () => {
  it("installs a wheel with pip into a virtual environment", async () => {
    const script = `mkdir wheel && cd wheel && python3 - && python3 -m venv env
      env/bin/pip install --quiet --no-index --disable-pip-version-check ./answer-1.0-py3-none-any.whl
      env/bin/answer && env/bin/pip uninstall --quiet --yes answer && ! test -e env/bin/answer`;
    expect(await box.run(script, { stdin: MAKE_WHEEL })).toBe("the answer is 42\n");
  });

  it("has process pools, which need semaphores that processes share", async () => {
    const program = `
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
if __name__ == "__main__":
    for start in ("fork", "spawn", "forkserver"):
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(start)) as pool:
            print(start, sum(pool.map(abs, range(-100, 0))))
`;
    await box.sandbox.files.write("/root/pools.py", program);
    expect(await box.run("python3 /root/pools.py")).toBe("fork 5050\nspawn 5050\nforkserver 5050\n");
  });

  it("runs an asyncio server and clients of it, over TCP, IPv6 and a Unix socket", async () => {
    const program = `
import asyncio
async def echo(reader, writer):
    writer.write((await reader.readline()).upper())
    await writer.drain()
    writer.close()
async def ask(connection):
    reader, writer = await connection
    writer.write(b"said\\n")
    print((await reader.readline()).decode().strip())
    writer.close()
async def main():
    for host in ("127.0.0.1", "::1"):
        server = await asyncio.start_server(echo, host, 0)
        await ask(asyncio.open_connection(host, server.sockets[0].getsockname()[1]))
        server.close()
    server = await asyncio.start_unix_server(echo, "/tmp/echo.sock")
    await ask(asyncio.open_unix_connection("/tmp/echo.sock"))
    server.close()
asyncio.run(main())
`;
    expect(await box.run("python3 -", { stdin: program })).toBe("SAID\n".repeat(3));
  });

  it("keeps a database with SQLite, with a write-ahead log that two processes share", async () => {
    const program = `
import sqlite3, subprocess, sys
with sqlite3.connect("/root/kept.db") as base:
    print(base.execute("pragma journal_mode=wal").fetchone()[0])
    base.execute("create table numbers(n)")
    base.executemany("insert into numbers values (?)", ((n,) for n in range(1000)))
    base.commit()
    line = "import sqlite3; print(sqlite3.connect('/root/kept.db').execute('select sum(n) from numbers').fetchone()[0])"
    subprocess.run([sys.executable, "-c", line], check=True)
`;
    expect(await box.run("python3 -u -", { stdin: program })).toBe("wal\n499500\n");
  });
});

describe.concurrent("the shell and its companions", () => {
  it("perl forks and reads what its child says", async () => {
    const program = 'my $pid = open(my $in, "-|") // die; if (!$pid) { print "child"; exit } print <$in>, "\\n";';
    expect(await box.run("perl -", { stdin: program })).toBe("child\n");
  });

  it("su, runuser and the tools for accounts work, with passwords of the sandbox's own", async () => {
    const script = `su user -c 'id -un' && runuser -l user -c pwd && useradd --create-home other
      echo other:word | chpasswd && passwd -S other | cut -d' ' -f1,2 && su - other -c 'umask; pwd'
      su nobody -s /bin/sh -c 'cat /etc/shadow' || echo refused`;
    expect(await box.run(script)).toBe("user\n/home/user\nother P\n0022\n/home/other\nrefused\n");
  });

  it("tar keeps owners, modes, times, links and holes", async () => {
    const script = `mkdir tree && cd tree && echo x > file && ln file hard && ln -s file soft && mkfifo pipe
      truncate -s 10M hole && chown user:user file && chmod 2750 . && touch -d 2001-02-03 file && cd ..
      tar -cSf tree.tar tree && mkdir out && tar -xf tree.tar -C out
      cd out/tree && stat -c '%n, %F, %U, %a' file soft pipe . && stat -c %Y file && [ file -ef hard ] && du -k hole`;
    expect(await box.run(script, { env: { TZ: "UTC" } })).toBe(`\
file, regular file, user, 644
soft, symbolic link, root, 777
pipe, fifo, root, 644
., directory, root, 2750
981158400
0\thole
`);
  });
});

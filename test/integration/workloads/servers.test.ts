import { inflateSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Workbox } from "../../support/workbox.ts";

let box: Workbox;

beforeAll(async () => {
  box = await Workbox.open();
});
afterAll(() => box[Symbol.asyncDispose]());

describe.concurrent("database servers", () => {
  const postgres = `cd ~ && PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
    start() { pg_ctl -D base -s -w -l log -o '-k /tmp -p 5433 -c listen_addresses=127.0.0.1' start || { cat log; false; }; }
    ask() { psql -X -h "$1" -p 5433 -d postgres -Atqc "$2"; }
  `;

  it("PostgreSQL answers queries over TCP and with parallel workers, and recovers from a crash", async () => {
    const script = `${postgres}
      initdb -D base -A trust -N > /dev/null && start
      ask /tmp 'create table kept as select generate_series(1, 200000) as n; analyze kept'
      ask 127.0.0.1 "set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;
        explain (analyze, costs off, timing off, summary off) select sum(n) from kept" | grep 'Workers Launched'
      pg_ctl -D base -s -m immediate stop && start
      ask /tmp 'select sum(n) from kept' && grep -c 'automatic recovery in progress' log
      pg_ctl -D base -s -w stop`;
    const output = await box.run(script, { user: "user" });
    expect(output).toMatch(/Workers Launched: [1-9]/);
    expect(output).toMatch(/^20000100000\n1\n$/m);
  });

  it("Redis saves by a fork and an append-only file, and has both after it is started again", async () => {
    const script = `mkdir redis && cd redis
      start() {
        redis-server --port 6390 --daemonize yes --dir "$PWD" --appendonly yes --logfile log > /dev/null
        until redis-cli -p 6390 ping 2> /dev/null | grep -q PONG; do :; done
      }
      ask() { redis-cli -p 6390 "$@"; }
      start && ask set first 1 && ask bgsave
      until ask info persistence | grep -q rdb_bgsave_in_progress:0; do :; done
      ask incr first && ask shutdown && start && ask get first && ask shutdown && head -c5 dump.rdb`;
    expect(await box.run(script)).toBe("OK\nBackground saving started\n2\n2\nREDIS");
  });
});

/** Red, green and blue of the upper left corner: in a PNG's first row no filter changes the first pixel. */
function firstPixel(png: Buffer): number[] {
  const compressed: Buffer[] = [];
  for (let at = 8; at < png.length; at += png.readUInt32BE(at) + 12) {
    if (png.toString("latin1", at + 4, at + 8) === "IDAT")
      compressed.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  return [...inflateSync(Buffer.concat(compressed)).subarray(1, 4)];
}

describe.concurrent("a headless browser", () => {
  const PAGE = `<!doctype html><title>page</title><body style="margin: 0; background: rgb(255, 0, 0)"><p id="out"></p>
<script type="module">
const worker = new Worker(URL.createObjectURL(new Blob(["postMessage([1, 2, 3].map((n) => n * n).join('+'))"])));
worker.onmessage = ({ data }) => { document.getElementById("out").textContent = data; };
</script>`;
  const BROWSER = "chromium-headless-shell --no-sandbox --virtual-time-budget=5000";

  it("runs a page's scripts and workers, and gives the document that comes of it", async () => {
    await box.sandbox.files.write("/root/page.html", PAGE);
    const document = await box.run(`${BROWSER} --dump-dom file:///root/page.html 2> /root/browser.log`);
    expect(document).toContain('<p id="out">1+4+9</p>');
  });

  it("draws a page that a server inside gives it", async () => {
    await box.sandbox.files.write("/srv/index.html", PAGE);
    const server = await box.sandbox.spawn(["python3", "-m", "http.server", "-d", "/srv", "-b", "127.0.0.1", "8088"]);
    const script = `until curl -sf -o /dev/null http://127.0.0.1:8088/; do :; done
      ${BROWSER} --screenshot=/root/page.png --window-size=320,200 http://127.0.0.1:8088/ 2>> /root/browser.log`;
    await box.run(script);
    await server.kill("SIGTERM");
    const picture = Buffer.from(await box.sandbox.files.read("/root/page.png"));
    expect([picture.readUInt32BE(16), picture.readUInt32BE(20)]).toEqual([320, 200]);
    expect(firstPixel(picture)).toEqual([255, 0, 0]);
  });
});

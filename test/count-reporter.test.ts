import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Below the repository, so that a test file there finds vitest. */
let directory: string;

beforeEach(() => {
  mkdirSync(join(ROOT, "build"), { recursive: true });
  directory = mkdtempSync(join(ROOT, "build/count-reporter-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** Runs vitest on one test file and gives what the reporter counted, and how vitest ended. */
function countsOf(source: string) {
  const counts = join(directory, "counts.json");
  writeFileSync(
    join(directory, "some.test.ts"),
    `import { beforeAll, describe, expect, test } from "vitest";\n${source}`,
  );
  writeFileSync(join(directory, "vitest.config.ts"), "export default {};\n");
  const { VITEST: _own, ...env } = process.env;
  const { status } = spawnSync(
    join(ROOT, "node_modules/.bin/vitest"),
    ["run", "--root", directory, `--reporter=${join(ROOT, "scripts/count-reporter.mjs")}`],
    { env: { ...env, PLYBOX_TEST_COUNTS: counts }, stdio: "ignore" },
  );
  return { status, ...JSON.parse(readFileSync(counts, "utf8")) };
}

test("what passes and what fails is counted", () => {
  expect(countsOf('test("a", () => {}); test("b", () => {}); test("c", () => expect(1).toBe(2));')).toEqual({
    status: 1,
    passed: 2,
    failed: 1,
    skipped: [],
    failures: ["some.test.ts > c"],
  });
});

test("a skip with a reason is a skip, and one without is a failure", () => {
  expect(countsOf('test("a", ({ skip }) => skip("no KVM here")); test.skip("b", () => {}); test.todo("c");')).toEqual({
    status: 0,
    passed: 0,
    failed: 2,
    skipped: [{ name: "some.test.ts > a", reason: "no KVM here" }],
    failures: ["some.test.ts > b: skipped without a reason", "some.test.ts > c: skipped without a reason"],
  });
});

test("a file that does not load is a failure", () => {
  expect(countsOf('import "./absent.ts";')).toMatchObject({ status: 1, failed: 1, failures: ["some.test.ts"] });
});

test("a hook that fails is a failure beside the tests that it kept from running", () => {
  const source = 'describe("s", () => { beforeAll(() => { throw new Error("x"); }); test("a", () => {}); });';
  expect(countsOf(source)).toMatchObject({
    failed: 2,
    failures: ["some.test.ts > s > a: skipped without a reason", "some.test.ts > s: a hook"],
  });
});

test("an error outside of every test is a failure", () => {
  expect(countsOf('test("a", () => { setImmediate(() => { throw new Error("late"); }); });')).toMatchObject({
    status: 1,
    passed: 1,
    failed: 1,
    failures: ["an error outside of every test: late"],
  });
});

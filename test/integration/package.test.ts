import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const { version, dependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

/** A project of somebody's that has the published package installed. */
let project: string;
let installed: string;

const run = (program: string, args: readonly string[], cwd: string): string =>
  execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/**
 * Installs the packed package as npm does, but for its dependencies: those are the clone's own, because npm would
 * compile the SQLite binding anew for a minute. `--ignore-scripts`: dist/ was compiled before the tests.
 */
beforeAll(() => {
  project = realpathSync(mkdtempSync(join(tmpdir(), "plybox-package-")));
  installed = join(project, "node_modules/plybox");
  const [packed] = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", project], ROOT));
  mkdirSync(installed, { recursive: true });
  run("tar", ["-xzf", join(project, packed.filename), "--strip-components=1"], installed);
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(project, "node_modules", name)), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", name), join(project, "node_modules", name));
  }
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "project", type: "module" }));
  borrowObjects();
  run("npm", ["run", "--silent", "install"], installed);
});

/**
 * Spares a compilation that the clone has been through. What lacks in the package is missed all the same: without its
 * source an object is not linked, and without one of its headers it is compiled anew.
 */
function borrowObjects(): void {
  run("make", ["--silent", "-C", "native", "../build/native/toolchain.mk"], installed);
  cpSync(join(ROOT, "build/native/musl"), join(installed, "build/native/musl"), { recursive: true });
}

afterAll(() => rmSync(project, { recursive: true, force: true }));

test("its install script builds the native programs from what was packed", () => {
  for (const program of ["plylaunch", "plyagent", "plyfilter", "plyrelay", "plytree"]) {
    const { mode, size } = statSync(join(installed, "build", program));
    expect(mode & 0o111).toBe(0o111);
    expect(size).toBeGreaterThan(0);
  }
});

test("its command says the version", () => {
  const { bin } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  expect(run(process.execPath, [join(installed, bin.plybox), "version"], project)).toContain(version);
});

test("a project can import the client and nothing else of it", () => {
  const imported = (name: string) =>
    run(process.execPath, ["--input-type=module", "-e", `await import("${name}")`], project);
  expect(imported("plybox/client")).toBe("");
  expect(() => imported("plybox")).toThrow("ERR_PACKAGE_PATH_NOT_EXPORTED");
  expect(() => imported("plybox/dist/daemon/main.js")).toThrow("ERR_PACKAGE_PATH_NOT_EXPORTED");
});

test("a project for browsers compiles against the client's types", () => {
  writeFileSync(
    join(project, "page.ts"),
    `import { Plybox, PlyboxApiError } from "plybox/client";
     const plybox = new Plybox({ baseUrl: "https://sandboxes.example", token: "t" });
     const sandbox = await plybox.create({ layers: ["host"] });
     const result = await sandbox.exec(["true"], { encoding: "bytes" });
     const code: number | null = result.exitCode;
     const bytes: Uint8Array = result.stdout;
     // @ts-expect-error: a typo is caught, so the types are there.
     await plybox.create({ layer: ["host"] });
     console.log(code, bytes, PlyboxApiError);`,
  );
  const options = ["--noEmit", "--strict", "--target", "es2023", "--module", "nodenext", "--types", ""];
  const tsc = join(ROOT, "node_modules/.bin/tsc");
  expect(run(tsc, [...options, "--lib", "es2023,dom,esnext.disposable", "page.ts"], project)).toBe("");
});

test("it holds no test, no source map without its source and nothing of this clone", () => {
  const files = run("tar", ["-tzf", join(project, `plybox-${version}.tgz`)], project)
    .trim()
    .split("\n");
  expect(files).toContain("package/LICENSE");
  expect(files.filter((file) => /\.test\.|^package\/(test|bench|node_modules|build)\//.test(file))).toEqual([]);
});

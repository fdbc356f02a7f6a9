import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { SourceTree } from "./support/import-rules.ts";
import { layoutFaults, nameFaults, undeclaredPackages } from "./support/import-rules.ts";
import { moduleImports } from "./support/module-imports.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

interface LockFile {
  readonly packages: Readonly<
    Record<string, { readonly resolved?: string; readonly optionalDependencies?: Readonly<Record<string, string>> }>
  >;
}

function filesBelow(folder: string): string[] {
  return readdirSync(`${ROOT}${folder}`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`.slice(ROOT.length));
}

function readTree(folder: string): SourceTree {
  const modules = filesBelow(folder).filter((path) => /\.[cm]?[jt]s$/.test(path));
  return new Map(modules.map((path) => [path, readFileSync(`${ROOT}${path}`, "utf8")]));
}

const faultsOf = (path: string, source: string): string[] => layoutFaults(new Map([[path, source]]));

describe("the repository", () => {
  const source = readTree("src");

  test("imports go the way of the table", () => {
    expect(source.size).toBeGreaterThan(0);
    expect(layoutFaults(source)).toEqual([]);
  });

  test("what is published imports nothing but its dependencies", () => {
    const { dependencies, optionalDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8"));
    expect(undeclaredPackages(source, Object.keys({ ...dependencies, ...optionalDependencies }))).toEqual([]);
  });

  test("the lock file is that of package.json, names the packages of every platform, and no registry", () => {
    const { packages } = JSON.parse(readFileSync(`${ROOT}package-lock.json`, "utf8")) as LockFile;
    const { dependencies, devDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8"));
    expect(packages[""]).toMatchObject({ dependencies, devDependencies });
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !(`node_modules/${name}` in packages || `${path}/node_modules/${name}` in packages),
      ),
    );
    expect(missing).toEqual([]);
    expect(Object.keys(packages).filter((path) => packages[path]?.resolved !== undefined)).toEqual([]);
  });

  test("files and folders have names in kebab-case that say what they hold", () => {
    const named = ["src", "test", "bench", "scripts", "native"]
      .flatMap(filesBelow)
      .filter((path) => /\.([cm]?[jt]s|cpp|h)$/.test(path));
    expect(named.flatMap(nameFaults)).toEqual([]);
  });
});

describe("every form of import is seen", () => {
  test.each([
    ["a static import", 'import { a } from "./a.ts";', "static"],
    ["a default import", 'import a from "./a.ts";', "static"],
    ["a side-effect import", 'import "./a.ts";', "static"],
    ["an import of inline types, which still loads its module", 'import { type A } from "./a.ts";', "static"],
    ["an export from", 'export { a } from "./a.ts";', "static"],
    ["an export of everything", 'export * from "./a.ts";', "static"],
    ["an export of everything under a name", 'export * as a from "./a.ts";', "static"],
    ["an import by require", 'import a = require("./a.ts");', "static"],
    ["a dynamic import", 'const load = () => import("./a.ts");', "dynamic"],
    ["a dynamic import deep in a class", 'class A { async b() { if (c) { await import("./a.ts"); } } }', "dynamic"],
    ["a require", 'const a = require("./a.ts");', "dynamic"],
    ["a require.resolve", 'require.resolve("./a.ts");', "dynamic"],
    ["an import.meta.resolve", 'import.meta.resolve("./a.ts");', "dynamic"],
    ["the URL of a worker", 'new Worker(new URL("./a.ts", import.meta.url));', "dynamic"],
    ["an import of types", 'import type { A } from "./a.ts";', "type"],
    ["an export of types", 'export type { A } from "./a.ts";', "type"],
    ["a type that is an import", 'let a: import("./a.ts").A;', "type"],
    ["a typeof of an import", 'let a: typeof import("./a.ts");', "type"],
  ])("%s", (_, source, form) => {
    expect(moduleImports("src/model/x.ts", source)).toEqual([{ specifier: "./a.ts", form }]);
  });

  test("words in comments and strings are none", () => {
    expect(moduleImports("src/model/x.ts", '// import "./a.ts"\nconst a = \'import "./b.ts"\';')).toEqual([]);
  });

  test("a source that does not parse is refused", () => {
    expect(() => moduleImports("src/model/x.ts", "import {")).toThrow("src/model/x.ts");
  });
});

describe("a break of the table is caught", () => {
  test.each([
    ["an import upwards", "src/base/x.ts", 'import "../model/ids.ts";', "base may not import model"],
    [
      "an import upwards of types",
      "src/model/x.ts",
      'import type { A } from "../api/a.ts";',
      "model may not import api",
    ],
    ["an import upwards in a test", "src/wire/x.test.ts", 'import "../sandbox/a.ts";', "wire may not import sandbox"],
    [
      "a dynamic import upwards",
      "src/layers/x.ts",
      'await import("../sandbox/a.ts");',
      "layers may not import sandbox",
    ],
    ["a computed import", "src/layers/x.ts", "await import(name);", "computed"],
    [
      "code of the model in the client",
      "src/client/x.ts",
      'import { a } from "../model/a.ts";',
      "types alone from model",
    ],
    ["inline types in the client", "src/client/x.ts", 'import { type A } from "../api/a.ts";', "types alone from api"],
    [
      "code of the daemon in the client",
      "src/client/x.ts",
      'import type { A } from "../daemon/a.ts";',
      "not import daemon",
    ],
    ["a package in the client", "src/client/x.ts", 'import { z } from "zod";', "neither Node nor a package"],
    ["Node in the client", "src/client/x.ts", 'import { request } from "node:http";', "neither Node nor a package"],
    ["a package that the client loads lazily", "src/client/x.ts", 'await import("zod");', "neither Node nor a package"],
    ["the daemon at the CLI's start", "src/cli/x.ts", 'import { a } from "../daemon/a.ts";', "with import() alone"],
    ["the CLI in the daemon", "src/daemon/x.ts", 'import "../cli/a.ts";', "daemon may not import cli"],
    ["a backend in another", "src/backends/a/x.ts", 'import "../b/y.ts";', "backend a may not import backend b"],
    ["a test in what is published", "src/model/x.ts", 'import "./y.test.ts";', "may not import a test"],
    ["test support in what is published", "src/model/x.ts", 'import "../../test/support/a.ts";', "outside src/"],
    ["a folder that nobody planned", "src/stuff/x.ts", "", "stuff is not in the import table"],
    ["a file without a folder", "src/x.ts", "", "belongs to a folder"],
  ])("%s", (_, path, source, message) => {
    expect(faultsOf(path, source)).toEqual([expect.stringContaining(message)]);
  });

  test.each([
    ["an import downwards", "src/wire/x.ts", 'import "../model/a.ts";'],
    ["an import within a folder", "src/layers/x.ts", 'import "./y.ts";'],
    ["types of the API in the client", "src/client/x.ts", 'import type { A } from "../api/a.ts";'],
    ["Node loaded lazily in the client", "src/client/x.ts", 'await import("node:http");'],
    ["the daemon loaded lazily by the CLI", "src/cli/x.ts", 'await import("../daemon/a.ts");'],
    ["a backend in the registry", "src/backends/registry.ts", 'import "./native/native.ts";'],
    ["test support in a test", "src/model/x.test.ts", 'import "../../test/support/a.ts";'],
  ])("and %s is allowed", (_, path, source) => {
    expect(faultsOf(path, source)).toEqual([]);
  });

  test("a package that only development installs", () => {
    const tree = new Map([["src/model/x.ts", 'import { test } from "vitest"; import { z } from "@scope/zod/mini";']]);
    expect(undeclaredPackages(tree, ["@scope/zod"])).toEqual([expect.stringContaining("vitest is not among")]);
  });

  test.each(["src/utils/x.ts", "src/model/helpers/x.ts", "test/services/x.ts", "src/model/common.ts"])(
    "the vague name %s",
    (path) => expect(nameFaults(path)).toEqual([expect.stringContaining("says nothing")]),
  );

  test.each(["src/model/fooBar.ts", "src/model/foo_bar.ts", "src/Model/x.ts", "native/agent/Exec.cpp"])(
    "the name %s, which is not in kebab-case",
    (path) => expect(nameFaults(path)).toEqual([expect.stringContaining("kebab-case")]),
  );

  test.each(["src/model/ids.test.ts", "native/common/unique-fd.h", "vitest.config.ts", "src/model/x86-64.d.ts"])(
    "and the name %s is allowed",
    (path) => expect(nameFaults(path)).toEqual([]),
  );
});

import { posix } from "node:path";
import { IMPORT_TABLE, VAGUE_NAMES } from "./import-table.ts";
import type { ModuleImport } from "./module-imports.ts";
import { moduleImports } from "./module-imports.ts";

/** Path from the repository's root, with `/`, to the file's text. */
export type SourceTree = ReadonlyMap<string, string>;

const KEBAB = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
const TEST_FILE = /\.test\.ts$/;

const folderOf = (path: string): string => path.split("/")[1] ?? "";

/** What is wrong with the name of a file or of a folder above it. */
export function nameFaults(path: string): string[] {
  const parts = path.split("/");
  const stem = (parts.pop() ?? "").replace(/^\./, "").replace(/(\.(test|config|build|d))?\.[a-z]+$/, "");
  return [...parts, stem].flatMap((part) => {
    if (VAGUE_NAMES.has(part) && !path.startsWith("native/"))
      return [`${path}: "${part}" says nothing of what it holds`];
    return KEBAB.test(part) || part.startsWith(".") ? [] : [`${path}: "${part}" is not in kebab-case`];
  });
}

/** Why a file of one folder may not import a file of another; null where it may. */
function directionFault(from: string, to: string, form: ModuleImport["form"]): string | null {
  const rule = IMPORT_TABLE[from];
  if (rule === undefined || from === to || rule.code.includes(to)) return null;
  if (rule.types?.includes(to)) return form === "type" ? null : `${from} may import types alone from ${to}`;
  if (rule.lazy?.includes(to)) return form === "static" ? `${from} may load ${to} with import() alone` : null;
  return `${from} may not import ${to}`;
}

/** A backend that stands on another one cannot be taken away without it. */
function backendFault(path: string, target: string): string | null {
  const [own, other] = [path, target].map((file) => /^src\/backends\/([^/]+)\//.exec(file)?.[1]);
  return own !== undefined && other !== undefined && own !== other
    ? `backend ${own} may not import backend ${other}`
    : null;
}

function relativeFault(path: string, specifier: string, form: ModuleImport["form"]): string | null {
  const target = posix.normalize(posix.join(posix.dirname(path), specifier));
  if (target.startsWith("src/")) {
    if (!TEST_FILE.test(path) && TEST_FILE.test(target)) return "what is published may not import a test";
    return backendFault(path, target) ?? directionFault(folderOf(path), folderOf(target), form);
  }
  if (target === "package.json") return null;
  return TEST_FILE.test(path) && target.startsWith("test/")
    ? null
    : "what is published may not import from outside src/";
}

function packageFault(path: string, specifier: string, form: ModuleImport["form"]): string | null {
  if (TEST_FILE.test(path) || form === "type") return null;
  const builtIn = specifier.startsWith("node:");
  if (!IMPORT_TABLE[folderOf(path)]?.standsAlone) return null;
  return builtIn && form === "dynamic" ? null : `${folderOf(path)} must run where there is neither Node nor a package`;
}

function importFault(path: string, { specifier, form }: ModuleImport): string | null {
  if (specifier === null) return "an import whose path is computed cannot be checked";
  return specifier.startsWith(".") ? relativeFault(path, specifier, form) : packageFault(path, specifier, form);
}

/** Every break of the layout and of the import table in src/, as `path: what` lines; docs/architecture.md. */
export function layoutFaults(tree: SourceTree): string[] {
  return [...tree].flatMap(([path, source]) => {
    if (!path.startsWith("src/")) return [];
    if (path.split("/").length < 3) return [`${path}: a file of src/ belongs to a folder of the import table`];
    if (IMPORT_TABLE[folderOf(path)] === undefined)
      return [`${path}: folder ${folderOf(path)} is not in the import table`];
    return moduleImports(path, source).flatMap((found) => {
      const fault = importFault(path, found);
      return fault === null ? [] : [`${path}: ${found.specifier ?? "(computed)"}: ${fault}`];
    });
  });
}

/** Imports of packages that are not installed with the published package. */
export function undeclaredPackages(tree: SourceTree, dependencies: readonly string[]): string[] {
  return [...tree].flatMap(([path, source]) => {
    if (!path.startsWith("src/") || TEST_FILE.test(path)) return [];
    return moduleImports(path, source).flatMap(({ specifier, form }) => {
      if (specifier === null || form === "type" || /^(\.|node:)/.test(specifier)) return [];
      const name = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
      return dependencies.includes(name) ? [] : [`${path}: ${name} is not among the dependencies of package.json`];
    });
  });
}

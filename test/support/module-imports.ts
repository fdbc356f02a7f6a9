import { parseSync } from "oxc-parser";

export type ImportForm = "static" | "dynamic" | "type";

export interface ModuleImport {
  /** As written; null where it is computed, so that nobody can tell what is loaded. */
  readonly specifier: string | null;
  readonly form: ImportForm;
}

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";

const literal = (value: unknown): string | null =>
  isNode(value) && value.type === "Literal" && typeof value.value === "string" ? value.value : null;

const isIdentifier = (value: unknown, name: string): boolean =>
  isNode(value) && value.type === "Identifier" && value.name === name;

const isMember = (value: unknown, property: string): value is Node =>
  isNode(value) && value.type === "MemberExpression" && isIdentifier(value.property, property);

const firstOf = (values: unknown): unknown => (Array.isArray(values) ? values[0] : undefined);

/** `require(…)`, `require.resolve(…)` and `import.meta.resolve(…)`. */
function isLoader(callee: unknown): boolean {
  if (isIdentifier(callee, "require")) return true;
  if (!isMember(callee, "resolve") || !isNode(callee.object)) return false;
  return isIdentifier(callee.object, "require") || callee.object.type === "MetaProperty";
}

/** `new URL("./worker.ts", import.meta.url)` names a module when it ends like one. */
function moduleUrl(node: Node): ModuleImport[] {
  const specifier = isIdentifier(node.callee, "URL") ? literal(firstOf(node.arguments)) : null;
  return specifier !== null && /^\.{1,2}\/.*\.[cm]?[jt]s$/.test(specifier) ? [{ specifier, form: "dynamic" }] : [];
}

/** What one syntax node imports. */
function importsOf(node: Node): ModuleImport[] {
  switch (node.type) {
    // An import of inline types alone still loads its module, as the compiler keeps it for its side effects.
    case "ImportDeclaration":
      return [{ specifier: literal(node.source), form: node.importKind === "type" ? "type" : "static" }];
    case "ExportAllDeclaration":
    case "ExportNamedDeclaration":
      if (!isNode(node.source)) return [];
      return [{ specifier: literal(node.source), form: node.exportKind === "type" ? "type" : "static" }];
    case "ImportExpression":
      return [{ specifier: literal(node.source), form: "dynamic" }];
    case "TSImportType":
      return [{ specifier: literal(node.source), form: "type" }];
    case "TSExternalModuleReference":
      return [{ specifier: literal(node.expression), form: "static" }];
    case "CallExpression":
      return isLoader(node.callee) ? [{ specifier: literal(firstOf(node.arguments)), form: "dynamic" }] : [];
    case "NewExpression":
      return moduleUrl(node);
    default:
      return [];
  }
}

/**
 * Every import of a module, in each form that the language has.
 * @throws Error where the source does not parse
 */
export function moduleImports(path: string, source: string): ModuleImport[] {
  const { program, errors } = parseSync(path, source);
  if (errors[0] !== undefined) throw new Error(`${path}: ${errors[0].message}`);
  const found: ModuleImport[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const item of value) visit(item);
    } else if (isNode(value)) {
      found.push(...importsOf(value));
      for (const child of Object.values(value)) visit(child);
    }
  };
  visit(program);
  return found;
}

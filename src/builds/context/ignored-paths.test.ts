import { expect, it } from "vitest";
import { ignoredPaths } from "./ignored-paths.ts";

it.each([
  ["*.log", { "a.log": true, "d/a.log": false }],
  ["**/*.log", { "a.log": true, "d/e/a.log": true, "a.txt": false }],
  ["node_modules", { node_modules: true, "node_modules/a/b": true, "d/node_modules": false, node_modules2: false }],
  ["/build/", { build: true, "build/a": true }],
  ["# comment\n\n  a  ", { a: true, "# comment": false }],
  ["*\n!src\n!src/**", { a: true, src: false, "src/b/c": false }],
  ["docs\n!docs/README.md", { "docs/a": true, "docs/README.md": false }],
  ["!a\n*", { a: true }],
  ["a?c", { abc: true, ac: false }],
  ["README", { README: true, readme: false }],
  ["[ab]x", { ax: true, cx: false }],
])("%j", (text, expected) => {
  const ignored = ignoredPaths(text);
  expect(Object.fromEntries(Object.keys(expected).map((path) => [path, ignored.has(path)]))).toEqual(expected);
});

it("a directory is left out with all that is below it only where there are no exceptions", () => {
  expect(ignoredPaths("docs").hasAllBelow("docs")).toBe(true);
  expect(ignoredPaths("docs").hasAllBelow("src")).toBe(false);
  expect(ignoredPaths("docs\n!docs/a").hasAllBelow("docs")).toBe(false);
});

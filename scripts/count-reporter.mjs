/**
 * A vitest reporter that writes what `npm test` adds up to the file named by PLYBOX_TEST_COUNTS. A skip counts as one
 * only with a reason, `skip("why")` inside the test; without one it is a failure.
 */
import { writeFileSync } from "node:fs";

/** @typedef {import("vitest/node").TestCase} TestCase */
/** @typedef {import("vitest/node").TestModule} TestModule */
/** @typedef {{ passed: number, failed: number, skipped: { name: string, reason: string }[], failures: string[] }} Counts */

/** @param {TestCase} test */
const nameOf = (test) => `${test.module.relativeModuleId} > ${test.fullName}`;

/**
 * @param {Counts} counts
 * @param {TestCase} test
 */
function countTest(counts, test) {
  const result = test.result();
  const name = nameOf(test);
  if (result.state === "passed") {
    counts.passed += 1;
  } else if (result.state === "skipped" && result.note) {
    counts.skipped.push({ name, reason: result.note });
  } else {
    counts.failed += 1;
    counts.failures.push(result.state === "skipped" ? `${name}: skipped without a reason` : name);
  }
}

/**
 * Failures outside of tests: a file that does not load, a hook of a suite.
 * @param {TestModule} module
 * @returns {string[]}
 */
function brokenParts(module) {
  const file = module.errors().length > 0 ? [module.relativeModuleId] : [];
  const suites = [...module.children.allSuites()].filter((suite) => suite.errors().length > 0);
  return [...file, ...suites.map((suite) => `${module.relativeModuleId} > ${suite.fullName}: a hook`)];
}

export default class CountReporter {
  /**
   * @param {ReadonlyArray<TestModule>} modules
   * @param {ReadonlyArray<{ message: string }>} unhandledErrors
   */
  onTestRunEnd(modules, unhandledErrors) {
    /** @type {Counts} */
    const counts = { passed: 0, failed: 0, skipped: [], failures: [] };
    for (const module of modules) {
      for (const test of module.children.allTests()) countTest(counts, test);
    }
    const broken = modules.flatMap(brokenParts);
    const outside = unhandledErrors.map((error) => `an error outside of every test: ${error.message}`);
    counts.failures.push(...broken, ...outside);
    counts.failed += broken.length + outside.length;
    const path = process.env.PLYBOX_TEST_COUNTS;
    if (path) writeFileSync(path, JSON.stringify(counts));
  }
}

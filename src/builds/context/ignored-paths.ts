import dockerignore from "@balena/dockerignore";

/** What of a context is left out. */
export interface IgnoredPaths {
  /** @param path relative to the context, with `/` between its parts */
  has(path: string): boolean;
  /** Whether all below a directory is left out with it. */
  hasAllBelow(path: string): boolean;
}

/** As a `.dockerignore` says: patterns of Go's filepath.Match and `**`, of which the last one that matches holds. */
export function ignoredPaths(text: string): IgnoredPaths {
  const rules = dockerignore.default({ ignorecase: false }).add(text);
  const hasExceptions = /^\s*!/m.test(text);
  return {
    has: (path) => rules.ignores(path),
    hasAllBelow: (path) => !hasExceptions && rules.ignores(path),
  };
}

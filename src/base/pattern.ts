/** In a pattern: any number of items, none included. */
export const ANY = Symbol("any");

/** What each item of a sequence is to be. */
export type Pattern<T> = readonly (((item: T) => boolean) | typeof ANY)[];

/** Whether a sequence matches a pattern; tests at most as many items as the product of both lengths. */
export function matches<T>(pattern: Pattern<T>, items: ArrayLike<T>): boolean {
  let at = 0;
  let item = 0;
  // Of several ANYs only the last can still be made to take more: what came before it has found its place.
  let afterAny = -1;
  let taken = 0;
  while (item < items.length) {
    const part = pattern[at];
    if (part === ANY) {
      afterAny = ++at;
      taken = item;
    } else if (part?.(items[item] as T)) {
      at++;
      item++;
    } else if (afterAny === -1) {
      return false;
    } else {
      at = afterAny;
      item = ++taken;
    }
  }
  while (pattern[at] === ANY) at++;
  return at === pattern.length;
}

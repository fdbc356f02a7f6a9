import { PlyboxError } from "../../model/errors.ts";

/** A parser that takes one of a few words. */
export function oneOf<const T extends string>(words: readonly T[]): (text: string) => T {
  return (text) => {
    const word = words.find((each) => each === text);
    if (word !== undefined) return word;
    throw new PlyboxError(
      "input/invalid",
      `must be one of ${words.join(", ")}, not ${JSON.stringify(text.slice(0, 40))}`,
    );
  };
}

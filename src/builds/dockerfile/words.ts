import { invalid, quoted, unsupported } from "./refuse.ts";

/** What a variable is; undefined where it is not set. */
export type Variables = (name: string) => string | undefined;

/** Where a word stands. */
export interface Place {
  readonly line: number;
  readonly escapeCharacter: string;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*/;

/** Words between blanks, as they are written; blanks in quotes or behind the escape character part nothing. */
export function splitWords(text: string, escapeCharacter: string): readonly string[] {
  const words: string[] = [];
  let word = "";
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at] as string;
    if (quote === "" && /\s/.test(character)) {
      if (word !== "") words.push(word);
      word = "";
      continue;
    }
    word += character;
    if (character === escapeCharacter && quote !== "'") word += text[++at] ?? "";
    else if (quote === "" && /["']/.test(character)) quote = character;
    else if (character === quote) quote = "";
  }
  return word === "" ? words : [...words, word];
}

/**
 * A word with its quotes gone and its variables replaced: `$NAME`, `${NAME}`, `${NAME:-word}`, `${NAME:+word}`,
 * `${NAME:?word}`, and the same without the colon, for which an empty variable is set.
 * @throws PlyboxError `build/invalid`, `build/unsupported`
 */
export function expand(word: string, variables: Variables, place: Place): string {
  return new Expansion(word, variables, place).upTo("");
}

/**
 * A document with its variables replaced; quotes in it are ordinary characters.
 * @throws as `expand`
 */
export function expandDocument(text: string, variables: Variables, place: Place): string {
  return new Expansion(text, variables, place).document();
}

class Expansion {
  readonly #text: string;
  readonly #variables: Variables;
  readonly #place: Place;
  #at = 0;

  constructor(text: string, variables: Variables, place: Place) {
    this.#text = text;
    this.#variables = variables;
    this.#place = place;
  }

  /** Up to an unquoted character, which is passed over; "" for all of it. */
  upTo(end: string): string {
    let result = "";
    while (this.#at < this.#text.length) {
      const character = this.#take();
      if (character === end) return result;
      if (character === "'") result += this.#literal();
      else if (character === '"') result += this.#doublyQuoted();
      else if (character === "$") result += this.#variable();
      else if (character === this.#place.escapeCharacter) result += this.#take();
      else result += character;
    }
    if (end !== "") throw this.#invalid(`lacks a ${end}`);
    return result;
  }

  document(): string {
    let result = "";
    while (this.#at < this.#text.length) {
      const character = this.#take();
      if (character === "$") result += this.#variable();
      else if (character === this.#place.escapeCharacter && /[$\\]/.test(this.#peek())) result += this.#take();
      else result += character;
    }
    return result;
  }

  #literal(): string {
    const end = this.#text.indexOf("'", this.#at);
    if (end === -1) throw this.#invalid("lacks a '");
    const text = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return text;
  }

  #doublyQuoted(): string {
    let result = "";
    while (this.#at < this.#text.length) {
      const character = this.#take();
      if (character === '"') return result;
      if (character === "$") result += this.#variable();
      else if (
        character === this.#place.escapeCharacter &&
        ['"', "$", this.#place.escapeCharacter].includes(this.#peek())
      ) {
        result += this.#take();
      } else result += character;
    }
    throw this.#invalid('lacks a "');
  }

  /** Behind the `$`. */
  #variable(): string {
    if (this.#peek() !== "{") {
      const name = this.#name();
      return name === "" ? "$" : (this.#variables(name) ?? "");
    }
    this.#at++;
    const name = this.#name();
    if (name === "") throw this.#invalid("has ${ without a name");
    const value = this.#variables(name);
    if (this.#peek() === "}") {
      this.#at++;
      return value ?? "";
    }
    const hasColon = this.#peek() === ":";
    if (hasColon) this.#at++;
    const operator = this.#take();
    if (operator === "") throw this.#invalid("lacks a }");
    if (!"-+?".includes(operator)) {
      throw unsupported(this.#place.line, `${quoted(this.#text)} changes ${name} in a way that is not known here`);
    }
    const word = this.upTo("}");
    const isSet = value !== undefined && !(hasColon && value === "");
    if (operator === "+") return isSet ? word : "";
    if (isSet) return value;
    if (operator === "-") return word;
    throw invalid(this.#place.line, `${name} is not set${word === "" ? "" : `: ${word}`}`);
  }

  #name(): string {
    const [name = ""] = NAME.exec(this.#text.slice(this.#at)) ?? [];
    this.#at += name.length;
    return name;
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #take(): string {
    return this.#text[this.#at++] ?? "";
  }

  #invalid(reason: string): Error {
    return invalid(this.#place.line, `${quoted(this.#text)} ${reason}`);
  }
}

import type { Instruction } from "dockerfile-ast";
import { DockerfileParser } from "dockerfile-ast";
import type { Run } from "dockerfile-ast/lib/instructions/run.js";
import { invalid } from "./refuse.ts";

/** A document that stands behind its instruction: `<<EOF`. */
export interface Heredoc {
  /** As the instruction names it, such as `<<-"EOF"`. */
  readonly marker: string;
  readonly name: string;
  readonly content: string;
  /** Whether variables in it are replaced: not where its name is quoted. */
  readonly expands: boolean;
}

/** One instruction as it stands in the file. */
export interface Statement {
  /** In capitals. */
  readonly keyword: string;
  /** Where it begins, from 1 on. */
  readonly line: number;
  /** What follows the keyword, continued lines joined and comments between them gone; without documents. */
  readonly text: string;
  readonly heredocs: readonly Heredoc[];
  /** Takes the meaning of the character that follows. */
  readonly escapeCharacter: string;
}

/** @throws PlyboxError `build/invalid` */
export function readStatements(text: string): readonly Statement[] {
  const dockerfile = DockerfileParser.parse(text);
  const lines = text.split(/\r?\n/);
  const escapeCharacter = dockerfile.getEscapeCharacter();
  return dockerfile.getInstructions().map((instruction) => statementOf(instruction, lines, escapeCharacter));
}

function statementOf(instruction: Instruction, lines: readonly string[], escapeCharacter: string): Statement {
  const { start, end } = instruction.getRange();
  const heredocs = heredocsOf(instruction, lines, start.line + 1);
  const bodies = heredocs.at(0)?.firstLine ?? end.line + 1;
  const own = joined(lines.slice(start.line, bodies), escapeCharacter).trim();
  return {
    keyword: instruction.getKeyword(),
    line: start.line + 1,
    text: own.slice(instruction.getInstruction().length).trim(),
    heredocs: heredocs.map(({ heredoc }) => heredoc),
    escapeCharacter,
  };
}

/** As one line: a line that ends in the escape character goes on in the next one that is neither empty nor a comment. */
function joined(lines: readonly string[], escapeCharacter: string): string {
  let text = "";
  for (const [index, line] of lines.entries()) {
    if (index > 0 && /^\s*(?:#|$)/.test(line)) continue;
    const trimmed = line.trimEnd();
    text += trimmed.endsWith(escapeCharacter) ? trimmed.slice(0, -1) : line;
  }
  return text;
}

function heredocsOf(instruction: Instruction, lines: readonly string[], line: number) {
  return documentsOf(instruction).map((document) => {
    const [start, end] = [document.getStartRange().start, document.getDelimiterRange()];
    const name = document.getName();
    if (end === null) throw invalid(line, `the document ${name} has no end: no line is ${name} alone`);
    const marker = (lines[start.line] ?? "").slice(start.character, document.getStartRange().end.character);
    // A document without content has no place.
    const firstLine = document.getContentRange()?.start.line ?? end.start.line;
    const body = lines.slice(firstLine, end.start.line).map((each) => `${each}\n`);
    const isIndented = marker.startsWith("<<-");
    const content = (isIndented ? body.map((each) => each.replace(/^\t+/, "")) : body).join("");
    return { firstLine, heredoc: { marker, name, content, expands: !/["']/.test(marker) } };
  });
}

/** The library shows them of those alone that take them. */
const documentsOf = (instruction: Instruction): ReturnType<Run["getHeredocs"]> =>
  /^(?:RUN|COPY|ADD)$/.test(instruction.getKeyword()) ? (instruction as Run).getHeredocs() : [];

import { describe, expect, it } from "vitest";
import { parseDockerfile } from "./instructions.ts";

const parse = (...lines: readonly string[]) => parseDockerfile(lines.join("\n"));
/** The only instruction there is. */
const one = (...lines: readonly string[]) => parse(...lines)[0];

describe("an instruction", () => {
  it("is known in any case, by the line that it begins on", () => {
    const found = parse("# a comment", "", "from busybox as Build", "Run one \\", "  # why", "", "  && two", "USER me");
    expect(found.map(({ kind, line }) => [kind, line])).toEqual([
      ["from", 3],
      ["run", 4],
      ["user", 8],
    ]);
    expect(found[0]).toMatchObject({ image: "busybox", stage: "build", platform: null });
    expect(found[1]).toMatchObject({ command: { form: "shell", line: "one   && two" } });
  });

  it("is continued by the character that the file says", () => {
    const [run, copy] = parse("# escape=`", "RUN dir `", "  c:\\", "COPY a\\b c");
    expect(run).toMatchObject({ command: { line: "dir   c:\\" }, escapeCharacter: "`" });
    expect(copy).toMatchObject({ sources: ["a\\b"], target: "c" });
  });

  it("has lines that end as on Windows", () => {
    expect(parse("RUN a \\\r", "  b\r", "USER me\r")).toMatchObject([{ command: { line: "a   b" } }, { value: "me" }]);
  });

  it.each([
    ['RUN ["/bin/a", "b c"]', { command: { form: "exec", argv: ["/bin/a", "b c"] } }],
    ["RUN [ -f x ] && y", { command: { form: "shell", line: "[ -f x ] && y" } }],
    ["RUN --network=none make", { command: { form: "shell", line: "make" } }],
    ["CMD []", { command: { form: "exec", argv: [] } }],
    ["COPY --from=build --chown=1:2 --chmod=755 a b /c/", { from: "build", owner: "1:2", mode: "755", target: "/c/" }],
    ['ADD ["a b", "/c d/"]', { kind: "add", sources: ["a b"], target: "/c d/" }],
    [
      "ENV A=1 B='x y' C=\"$A z\"",
      {
        pairs: [
          ["A", "1"],
          ["B", "'x y'"],
          ["C", '"$A z"'],
        ],
      },
    ],
    ["ENV A b  c ", { pairs: [["A", "b  c"]] }],
    [
      "ARG A B=1",
      {
        declared: [
          ["A", null],
          ["B", "1"],
        ],
      },
    ],
    ['SHELL ["/bin/sh", "-ec"]', { argv: ["/bin/sh", "-ec"] }],
    ["EXPOSE 80 53/udp", { ports: ["80", "53/udp"] }],
    ["WORKDIR /a b", { value: "/a b" }],
    ["HEALTHCHECK --interval=5s CMD true", { kind: "ignored", keyword: "HEALTHCHECK" }],
  ])("%s", (line, expected) => {
    expect(one(line)).toMatchObject(expected);
  });
});

describe("a document behind an instruction", () => {
  it("is the script of a RUN that says nothing else", () => {
    expect(parse("RUN <<EOF", "set -e", "  echo $A", "EOF", "USER me")).toMatchObject([
      { command: { form: "shell", line: "set -e\n  echo $A\n" } },
      { line: 5 },
    ]);
  });

  it("is left to the shell otherwise", () => {
    const line = "cat <<'A' <<B > /f && ok\nx\nA\ny\nB";
    expect(one("RUN cat <<'A' <<B > /f \\", "# why", " && ok".slice(1), "x", "A", "y", "B")).not.toMatchObject({
      kind: "copy",
    });
    expect(one("RUN cat <<'A' <<B > /f && ok", "x", "A", "y", "B")).toMatchObject({ command: { form: "shell", line } });
  });

  it("is a file that is copied, with variables but where its name is quoted", () => {
    expect(one("COPY <<one.txt <<-'two' three /d/", "$A", "one.txt", "\t\t$B", "two")).toMatchObject({
      sources: ["three"],
      target: "/d/",
      documents: [
        { name: "one.txt", content: "$A\n", expands: true },
        { name: "two", content: "$B\n", expands: false },
      ],
    });
  });

  it("may be empty", () => {
    expect(one("COPY <<EOF /d", "EOF")).toMatchObject({ documents: [{ content: "" }], sources: [] });
  });
});

describe("what cannot be is refused with its line", () => {
  it.each([
    [["FROM a", "BOGUS b"], 2, "no instruction"],
    [["FROM a", "RUN"], 2, "says nothing"],
    [["FROM a b c"], 1, "AS and a name"],
    [["FROM a AS 1x"], 1, "name of a stage"],
    [["COPY a"], 1, "sources and a target"],
    [["COPY --bogus a b"], 1, "no flag --bogus"],
    [["COPY --chmod=1 --chmod=2 a b"], 1, "twice"],
    [["ENV =b"], 1, "NAME"],
    [["ENV A"], 1, "no value"],
    [["ARG 1A"], 1, "argument"],
    [["SHELL /bin/sh"], 1, "list"],
    [["RUN --network=bogus a"], 1, "network"],
    [["FROM a", "RUN <<EOF", "never"], 2, "no end"],
  ])("%j", (lines, line, message) => {
    expect(() => parse(...lines)).toThrow(
      expect.objectContaining({ code: "build/invalid", line, message: expect.stringContaining(message) }),
    );
  });

  it.each([
    "RUN --mount=type=cache,target=/x a",
    "RUN --network=host a",
    "RUN --security=insecure a",
    "COPY --parents a b",
  ])("%s, which is of others", (line) => {
    expect(() => parse("FROM a", line)).toThrow(expect.objectContaining({ code: "build/unsupported", line: 2 }));
  });
});

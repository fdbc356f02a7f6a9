// biome-ignore-all lint/suspicious/noTemplateCurlyInString: it is the syntax that is read here
import { describe, expect, it } from "vitest";
import { parseDockerfile } from "./instructions.ts";
import type { Arguments, StageState } from "./stage-state.ts";
import { argvOf, environmentOf, follow, newStage, proxiesOf } from "./stage-state.ts";
import { globalArguments, planStages } from "./stages.ts";

const plan = (target: string | undefined, ...lines: readonly string[]) =>
  planStages(parseDockerfile(lines.join("\n")), target, (word) => word.replace("$BASE", "one"));

describe("stages", () => {
  const FILE = [
    "ARG BASE",
    "FROM a AS One",
    "FROM b AS two",
    "COPY --from=one x y",
    "FROM c AS three",
    "FROM $BASE",
    "COPY --from=1 x y",
  ];
  const images = (target?: string) => plan(target, ...FILE).stages.map(({ image }) => image);

  it("are built that the wanted one stands on or copies from", () => {
    expect(images()).toEqual(["a", "b", "one"]);
    expect(images("two")).toEqual(["a", "b"]);
    expect(images("TWO")).toEqual(["a", "b"]);
    expect(images("2")).toEqual(["c"]);
    const { stages, target } = plan(undefined, ...FILE);
    expect(target.parent).toBe(stages[0]);
    expect(target.sources.get("1")).toBe(stages[1]);
  });

  it("may copy from what is no stage, which is looked for elsewhere", () => {
    expect(plan(undefined, "FROM a", "COPY --from=busybox x y").target.sources.size).toBe(0);
  });

  it.each([
    [undefined, ["ARG A"]],
    [undefined, ["RUN x", "FROM a"]],
    ["none", ["FROM a AS b"]],
    ["7", ["FROM a"]],
    [undefined, ["FROM a", "COPY --from=0 x y"]],
  ])("%s of %j is refused", (target, lines) => {
    const refused = () => {
      globalArguments(parseDockerfile(lines.join("\n")));
      plan(target, ...lines);
    };
    expect(refused).toThrow(expect.objectContaining({ code: "build/invalid" }));
  });
});

describe("what instructions say", () => {
  const ARGS: Arguments = {
    given: new Map([
      ["GIVEN", "given"],
      ["http_proxy", "http://proxy"],
    ]),
    global: new Map([["GLOBAL", "global"]]),
  };
  const stateAfter = (...lines: readonly string[]): StageState =>
    parseDockerfile(lines.join("\n")).reduce((state, each) => follow(state, each, ARGS), newStage());

  it.each([
    [["ENV A=1 B=$A", "ENV C=$A"], { env: { A: "1", B: "", C: "1" } }],
    [["ARG GIVEN=x", "ENV A=$GIVEN"], { env: { A: "given" } }],
    [["ENV A=$GIVEN"], { env: { A: "" } }],
    [["ARG GLOBAL", "ENV A=$GLOBAL"], { env: { A: "global" } }],
    [["ARG GLOBAL=own", "ENV A=$GLOBAL"], { env: { A: "own" } }],
    [["ARG X=arg", "ENV X=env", "ENV A=$X"], { env: { X: "env", A: "env" } }],
    [["WORKDIR /a", "WORKDIR b", "WORKDIR ../c"], { workingDir: "/a/c" }],
    [["WORKDIR x"], { workingDir: "/x" }],
    [["USER ${U:-app}:7"], { user: "app:7" }],
    [["CMD echo $A"], { cmd: ["/bin/sh", "-c", "echo $A"] }],
    [['SHELL ["/bin/a", "-b"]', "ENTRYPOINT c"], { entrypoint: ["/bin/a", "-b", "c"], cmd: [] }],
    [["CMD own", 'ENTRYPOINT ["e"]'], { entrypoint: ["e"], cmd: ["/bin/sh", "-c", "own"] }],
    [["EXPOSE 80 53/udp", "EXPOSE 80/tcp"], { exposedPorts: ["53/udp", "80/tcp"] }],
    [["LABEL a=b", "LABEL a=c d='e f'"], { labels: { a: "c", d: "e f" } }],
  ])("%j", (lines, expected) => {
    expect(stateAfter(...lines).config).toMatchObject(expected);
  });

  it("of what it stands on, the command goes with another entrypoint", () => {
    const below = newStage({ ...newStage().config, cmd: ["theirs"], entrypoint: ["old"] });
    const [entrypoint] = parseDockerfile('ENTRYPOINT ["new"]');
    if (entrypoint === undefined) throw new Error("it is there");
    expect(follow(below, entrypoint, ARGS).config).toMatchObject({ entrypoint: ["new"], cmd: [] });
  });

  it("is the environment of commands, with arguments below it and proxies apart", () => {
    const state = stateAfter("ARG A=1 B=2", "ENV B=env");
    expect(environmentOf(state)).toEqual({ A: "1", B: "env" });
    expect(proxiesOf(ARGS)).toEqual({ http_proxy: "http://proxy" });
    expect(argvOf({ form: "exec", argv: ["x"] }, state)).toEqual(["x"]);
  });

  it.each(["USER a b", "USER $NONE", "EXPOSE x", "ARG A=${B:?missing}"])("%s is refused", (line) => {
    expect(() => stateAfter(line)).toThrow(expect.objectContaining({ code: "build/invalid", line: 1 }));
  });
});

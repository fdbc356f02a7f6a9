import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import * as z from "zod";
import type { Route } from "../../src/api/route.ts";
import { ROUTES } from "../../src/api/routes.ts";
import { errorBody } from "../../src/api/schemas/system.ts";
import { ERRORS } from "../../src/model/errors.ts";

const PAGE = readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8");

interface Section {
  readonly heading: string;
  readonly text: string;
}

const sections: readonly Section[] = PAGE.split(/^### /m)
  .slice(1)
  .map((part) => ({
    heading: part.slice(0, part.indexOf("\n")).replaceAll("`", ""),
    text: part.split(/^## /m)[0] ?? "",
  }));

const routes: readonly Route[] = Object.values(ROUTES);
const headingOf = ({ method, path }: Route): string => `${method} ${path}`;
const sectionOf = (route: Route): string => sections.find(({ heading }) => heading === headingOf(route))?.text ?? "";

/** JSON without a field that the schema does not name. */
function accept(schema: z.ZodType, text: string): void {
  const value: unknown = JSON.parse(text);
  expect(schema.parse(value)).toEqual(value);
}

describe("docs/api.md", () => {
  it("has a section for each route, in the order of the table", () => {
    expect(sections.map(({ heading }) => heading)).toEqual(routes.map(headingOf));
  });

  it("lists every error with its status, in the order of the table", () => {
    const rows = [...PAGE.matchAll(/^\| `([a-z/-]+)` \| (\d{3}) \| (yes|no) \| .+ \|$/gm)];
    expect(rows.map(([, code, http, retry]) => [code, Number(http), retry === "yes"])).toEqual(
      Object.entries(ERRORS).map(([code, { http, retry }]) => [code, http, retry]),
    );
  });

  it("shows an error as it is", () => {
    const [, text] = /```json error\n([\s\S]*?)```/.exec(PAGE) ?? [];
    accept(errorBody, text ?? "");
  });
});

describe.each(routes.map((route) => [headingOf(route), route] as const))("its section %s", (_heading, route) => {
  const text = sectionOf(route);
  const requests = [...text.matchAll(/--json '(.*)'/g)].map(([, body]) => body ?? "");
  const answers = [...text.matchAll(/```json (\d{3})\n([\s\S]*?)```/g)];
  const takesJson = route.body !== undefined && route.body !== "bytes";

  it("has only examples that the API takes, at least one where it takes JSON", () => {
    if (takesJson) expect(requests.length).toBeGreaterThan(0);
    else expect(requests).toEqual([]);
    for (const body of requests) accept(route.body as z.ZodType, body);
  });

  it("has only answers that the API gives", () => {
    for (const [, status, body] of answers) accept(route.answers[Number(status)]?.json ?? z.never(), body ?? "");
  });

  it("names each field of the body and of the query", () => {
    const { body, query } = route;
    const shapes = [body instanceof z.ZodObject ? body.shape : {}, query?.shape ?? {}];
    const missing = shapes.flatMap((shape) => Object.keys(shape)).filter((name) => !text.includes(name));
    expect(missing).toEqual([]);
  });
});

it("docs/api.md shows events as they are", () => {
  const events = [...PAGE.matchAll(/^event: (\w+)\nid: \d+\.\d+\ndata: (.+)$/gm)];
  expect(events.map(([, name]) => name)).toEqual(["started", "output", "exit"]);
  for (const [, name, data] of events) accept(ROUTES.exec.answers[200].events[name as "exit"], data ?? "");
  for (const name of Object.keys(ROUTES.exec.answers[200].events)) expect(PAGE).toContain(`| \`${name}\` | `);
});

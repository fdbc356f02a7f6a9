import { describe, expect, it } from "vitest";
import { formatImageSource, formatPlatform, parseImageSource, parsePlatform } from "./image-source.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

describe("where an image is", () => {
  it.each([
    ["docker://alpine", { transport: "docker", image: "alpine" }],
    ["docker://localhost:5000/a/b:1.2", { transport: "docker", image: "localhost:5000/a/b:1.2" }],
    [`docker://[::1]:5000/a@${DIGEST}`, { transport: "docker", image: `[::1]:5000/a@${DIGEST}` }],
    ["oci:./layout", { transport: "oci", path: "./layout", image: null }],
    ["oci:/srv/layout:latest", { transport: "oci", path: "/srv/layout", image: "latest" }],
    ["oci-archive:a.tar", { transport: "oci-archive", path: "a.tar", image: null }],
    ["docker-archive:-:b:1", { transport: "docker-archive", path: "-", image: "b:1" }],
  ])("%s", (text, source) => {
    expect(parseImageSource(text, "from")).toEqual(source);
    expect(formatImageSource(parseImageSource(text, "from"))).toBe(text);
  });

  it.each(["", "alpine", "docker:alpine", "docker://", "docker://--help", "docker://a b", "oci:", "oci::x", "ftp://a"])(
    "is not %j",
    (text) => {
      expect(() => parseImageSource(text, "from")).toThrow(expect.objectContaining({ code: "input/invalid" }));
    },
  );
});

describe("a platform", () => {
  it.each(["linux/amd64", "linux/arm/v7"])("%s", (text) => {
    expect(formatPlatform(parsePlatform(text, "platform"))).toBe(text);
  });

  it.each(["", "amd64", "linux/", "linux/amd64/v1/x", "linux/--help", "Linux/amd64"])("is not %j", (text) => {
    expect(() => parsePlatform(text, "platform")).toThrow(expect.objectContaining({ code: "input/invalid" }));
  });
});

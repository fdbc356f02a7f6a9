import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Digest, LayerName } from "../../model/ids.ts";
import type { LayerManifest, LayerSignature } from "../../model/layer.ts";
import { canonicalManifest, manifestDigest } from "./canonical-manifest.ts";
import { keyIdOf, readSigningKey, readTrustedKey } from "./keys.ts";
import { parseSignatures, signManifest } from "./signature.ts";
import { readSignaturePolicy, requireTrust } from "./signature-policy.ts";

const MANIFEST: LayerManifest = {
  ...{ name: "100-python" as LayerName, digest: "a".repeat(64) as Digest, format: "squashfs", bytes: 4096 },
  ...{ compression: null, createdAt: "2026-01-01T00:00:00.000Z", parents: [], binds: [] },
  provenance: { kind: "tar", source: "upload" },
};
const [ours, theirs] = [generateKeyPairSync("ed25519"), generateKeyPairSync("ed25519")];
const signature = signManifest(ours.privateKey, manifestDigest(MANIFEST));

let directory: string;
const fileOf = (name: string, content: string | Buffer): string => {
  writeFileSync(join(directory, name), content);
  return join(directory, name);
};
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "plybox-keys-"));
});
afterAll(() => rmSync(directory, { recursive: true }));

const trust = (required: boolean, signatures: readonly LayerSignature[], manifest = MANIFEST) => {
  requireTrust({ trusted: [ours.publicKey], required }, manifest, signatures);
};

describe("a signature", () => {
  it("lets in the manifest that it is over, however its fields are ordered", () => {
    const { name, digest, ...rest } = MANIFEST;
    expect(canonicalManifest({ ...rest, digest, name })).toBe(canonicalManifest(MANIFEST));
    expect(() => trust(true, [signature], { ...rest, digest, name })).not.toThrow();
  });

  it.each<[string, Partial<LayerManifest>]>([
    ["name", { name: "100-node" as LayerName }],
    ["digest", { digest: "b".repeat(64) as Digest }],
    ["parents", { parents: ["b".repeat(64) as Digest] }],
    ["provenance", { provenance: { kind: "tar", source: "elsewhere" } }],
  ])("is of something else when the %s changes, and refuses even where none is required", (_field, change) => {
    for (const required of [true, false]) {
      expect(() => trust(required, [signature], { ...MANIFEST, ...change })).toThrow(/is of something else/);
    }
  });

  it("of nobody who is trusted counts for none", () => {
    const stranger = signManifest(theirs.privateKey, manifestDigest(MANIFEST));
    expect(() => trust(false, [stranger])).not.toThrow();
    expect(() => trust(true, [stranger])).toThrow(/which is not trusted/);
    expect(() => trust(true, [stranger, signature])).not.toThrow();
    expect(() => trust(true, [])).toThrow(/it is not signed/);
  });

  it("under another key's name does not pass for that key's", () => {
    const forged = { ...signManifest(theirs.privateKey, manifestDigest(MANIFEST)), keyId: signature.keyId };
    expect(() => trust(false, [forged])).toThrow(expect.objectContaining({ code: "layer/untrusted" }));
  });

  it("does not count for a text that was signed for another purpose", () => {
    const statement = `plybox layer manifest v1\nsha256:${manifestDigest(MANIFEST)}\n`;
    // What openssl makes of the same text is the same signature, so the text is what docs/portability.md says.
    const key = fileOf("key.pem", ours.privateKey.export({ type: "pkcs8", format: "pem" }));
    const sign = (text: string): string => {
      const args = ["pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", fileOf("statement", text)];
      return execFileSync("openssl", args).toString("base64");
    };
    expect(sign(statement)).toBe(signature.value);
    expect(() => trust(true, [{ ...signature, value: sign(manifestDigest(MANIFEST)) }])).toThrow(/something else/);
  });
});

describe("parsing signatures", () => {
  it("takes what was signed", () => {
    expect(parseSignatures(JSON.parse(JSON.stringify([signature])))).toEqual([signature]);
  });

  it.each<[string, unknown, string]>([
    ["no list", { ...signature }, "no list"],
    ["an unknown algorithm", [{ ...signature, algorithm: "none" }], 'unknown algorithm "none"'],
    ["no algorithm", [{ keyId: signature.keyId, value: signature.value }], "unknown algorithm"],
    ["an unknown field", [{ ...signature, comment: "" }], 'unknown field "comment"'],
    ["a short key", [{ ...signature, keyId: "abc" }], "names no key"],
    ["an empty value", [{ ...signature, value: "" }], "is malformed"],
    ["a value that is cut", [{ ...signature, value: signature.value.slice(0, -4) }], "is malformed"],
    ["a value with blanks", [{ ...signature, value: ` ${signature.value}` }], "is malformed"],
    ["a null", [null], "is malformed"],
    ["two of one key", [signature, signature], "two signatures of one key"],
    ["too many", Array.from({ length: 17 }, () => signature), "17 signatures"],
  ])("refuses %s", (_what, value, message) => {
    expect(() => parseSignatures(value)).toThrow(message);
  });
});

describe("keys", () => {
  const pem = { type: "spki", format: "pem" } as const;

  it("are read from PEM and known by their public half", async () => {
    const path = fileOf("public.pem", ours.publicKey.export(pem));
    expect(keyIdOf(await readTrustedKey(path))).toBe(keyIdOf(ours.privateKey));
  });

  it.each<[string, () => string, string]>([
    ["is not there", () => join(directory, "nowhere.pem"), "ENOENT"],
    ["is empty", () => fileOf("empty.pem", ""), "cannot be used"],
    ["is damaged", () => fileOf("cut.pem", String(ours.publicKey.export(pem)).slice(0, 60)), "cannot be used"],
    [
      "is private",
      () => fileOf("private.pem", ours.privateKey.export({ type: "pkcs8", format: "pem" })),
      "it is a private key",
    ],
    [
      "is of another algorithm",
      () => fileOf("ec.pem", generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export(pem)),
      "it is a key for ec",
    ],
  ])("refuse to be trusted where one of them %s, however many others are sound", async (_what, path, message) => {
    const sound = fileOf("sound.pem", theirs.publicKey.export(pem));
    for (const required of [true, false]) {
      await expect(readSignaturePolicy([sound, path()], required)).rejects.toMatchObject({
        code: "input/invalid",
        message: expect.stringContaining(message),
      });
    }
  });

  it("refuse to be required where there are none", async () => {
    await expect(readSignaturePolicy([], true)).rejects.toMatchObject({ code: "input/invalid" });
  });

  it("refuse to sign where a file has a public one, or one of another algorithm", async () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
    for (const path of [
      fileOf("public.pem", ours.publicKey.export(pem)),
      fileOf("rsa.pem", rsa.export({ type: "pkcs8", format: "pem" })),
    ]) {
      await expect(readSigningKey(path)).rejects.toMatchObject({ code: "input/invalid" });
    }
  });
});

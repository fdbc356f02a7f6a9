import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { formatHeader } from "../../src/layers/tar/tar-header.js";
const BLOCK = 512;
export const sha256 = (bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
export function tarOf(files) {
    const parts = files.flatMap(({ name, type = "0", content = "", link = "", mode }) => {
        const bytes = Buffer.from(content);
        const standard = type === "5" ? 0o755 : 0o644;
        const fields = { uid: 0, gid: 0, mtime: 1_000_000, major: 0, minor: 0 };
        const header = formatHeader({ ...fields, name, type, link, mode: mode ?? standard, size: bytes.length });
        return [header, bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)];
    });
    return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}
const json = (value) => Buffer.from(JSON.stringify(value));
/** The files of an OCI layout with these images, by name. */
export function layoutFiles(...images) {
    const files = new Map();
    const blob = (mediaType, bytes) => {
        const digest = sha256(bytes);
        files.set(`blobs/${digest.replace(":", "/")}`, bytes);
        return { mediaType, digest, size: bytes.length };
    };
    const manifests = images.map(({ layers, config = {}, architecture = "amd64", name, compress = gzipSync }) => {
        const tars = layers.map(tarOf);
        const rootfs = { type: "layers", diff_ids: tars.map(sha256) };
        const manifest = {
            schemaVersion: 2,
            mediaType: "application/vnd.oci.image.manifest.v1+json",
            config: blob("application/vnd.oci.image.config.v1+json", json({ os: "linux", architecture, config, rootfs })),
            layers: tars.map((tar) => blob("application/vnd.oci.image.layer.v1.tar+gzip", compress(tar))),
        };
        return {
            ...blob(manifest.mediaType, json(manifest)),
            platform: { os: "linux", architecture },
            ...(name !== undefined && { annotations: { "org.opencontainers.image.ref.name": name } }),
        };
    });
    files.set("oci-layout", json({ imageLayoutVersion: "1.0.0" }));
    files.set("index.json", json({ schemaVersion: 2, manifests }));
    return files;
}
/** The files of what `docker save` writes of an image. */
export function savedFiles({ layers, config = {}, architecture = "amd64", name }) {
    const tars = layers.map(tarOf);
    const rootfs = { type: "layers", diff_ids: tars.map(sha256) };
    const names = tars.map((_, index) => `${index}/layer.tar`);
    return new Map([
        ...tars.map((tar, index) => [names[index] ?? "", tar]),
        ["config.json", json({ os: "linux", architecture, config, rootfs })],
        ["manifest.json", json([{ Config: "config.json", RepoTags: name === undefined ? null : [name], Layers: names }])],
    ]);
}
export const archiveOf = (files) => tarOf([...files].map(([name, content]) => ({ name, content })));
export function writeFiles(directory, files) {
    for (const [name, content] of files) {
        mkdirSync(dirname(join(directory, name)), { recursive: true });
        writeFileSync(join(directory, name), content);
    }
    return directory;
}

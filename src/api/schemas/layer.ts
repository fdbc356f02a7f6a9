import * as z from "zod";
import { LAYER_NAME } from "../../model/ids.ts";
import { BUILD_ACTIVITIES } from "../../model/layer.ts";
import { PRESET_NAMES } from "../../model/presets.ts";
import { LIMIT_BOUNDS } from "../../model/sandbox.ts";
import { VERBATIM } from "../query.ts";

/** A layer's name, its part after the number, or its digest; which layer it means is the store's answer. */
export const layerRef = z
  .string()
  .max(67)
  .regex(/^[a-z0-9][a-z0-9._-]*$/, "must be a layer's name or digest");

export const layerParams = z.strictObject({
  layer: layerRef.describe("The layer's name, the part of it after the number, or its digest."),
});

/** Of every layer that is made. */
const newLayer = {
  name: z
    .string()
    .regex(LAYER_NAME, "must be three digits, - and a-z 0-9 . _ -")
    .describe("Of the new layer: its place in the stack, and a name."),
  replace: z.exactOptional(z.boolean().describe("Take the name from the layer that has it; false by default.")),
  format: z.exactOptional(z.enum(["squashfs", "erofs"]).describe("As configured by default, like what follows.")),
  algorithm: z.exactOptional(z.string().max(16).describe("Such as zstd; one that the format has.")),
  level: z.exactOptional(z.int().describe("Of the compression, where the algorithm has levels.")),
  blockBytes: z.exactOptional(z.int().describe("What is compressed at once: a power of two from 4096 to 1048576.")),
};

const platform = z
  .string()
  .max(80)
  .describe("Of an image that there are several of: OS/ARCHITECTURE; the daemon's own by default.");

export const buildLayerQuery = z.strictObject({
  ...newLayer,
  parent: z.exactOptional(z.array(layerRef).max(64).describe("A layer that it was made on; may be repeated.")),
  archive: z.exactOptional(
    z
      .enum(["tar", "oci-archive", "docker-archive"])
      .describe("What the body is: a tree (tar, the default), or an image in the OCI layout or as docker save has it."),
  ),
  image: z.exactOptional(z.string().max(512).describe("Which image of several, by its name.").meta(VERBATIM)),
  platform: z.exactOptional(platform),
});

export const buildDockerfileQuery = z.strictObject({
  ...newLayer,
  dockerfile: z.exactOptional(
    z
      .string()
      .min(1)
      .max(4096)
      .describe("Path of the Dockerfile in the archive; Dockerfile by default.")
      .meta(VERBATIM),
  ),
  buildArg: z.exactOptional(
    z.array(z.string().max(32_768)).max(256).describe("NAME=VALUE of an argument; may be repeated.").meta(VERBATIM),
  ),
  target: z.exactOptional(
    z.string().max(128).describe("A stage, by name or number; the last one by default.").meta(VERBATIM),
  ),
  noCache: z.exactOptional(z.boolean().describe("Do every step again, and ask for images again.")),
  memoryBytes: z.exactOptional(
    z
      .int()
      .min(LIMIT_BOUNDS.memoryBytes.min)
      .max(LIMIT_BOUNDS.memoryBytes.max)
      .describe("Of each command, with what it starts; as a sandbox has it by default."),
  ),
});

export const pullLayerBody = z.strictObject({
  ...newLayer,
  image: z.string().max(520).describe("docker://HOST/NAME:TAG or docker://HOST/NAME@DIGEST."),
  platform: z.exactOptional(platform),
  credentials: z.exactOptional(
    z
      .strictObject({ username: z.string().min(1).max(255), password: z.string().max(8192) })
      .describe("For the registry; by default what the daemon's own user has in its file."),
  ),
});

const { name: _, ...packing } = newLayer;

export const makePresetBody = z.strictObject({
  preset: z.enum(PRESET_NAMES).describe("Which packages: its layer has the name that it has by itself."),
  ...packing,
});

export const buildProgress = z.object({
  step: z.enum(BUILD_ACTIVITIES).describe("What is being done."),
  doneBytes: z.int(),
  totalBytes: z.int().nullable().describe("Null while nobody knows."),
  detail: z.exactOptional(
    z.string().describe("Of install, what is being done now; of run, what the command said last."),
  ),
  instruction: z.exactOptional(
    z
      .object({ index: z.int(), count: z.int(), line: z.int(), text: z.string() })
      .describe("Of a Dockerfile, the instruction that is followed, from 1 on."),
  ),
});

const imageConfig = z
  .object({
    env: z.record(z.string(), z.string()),
    workingDir: z.string().nullable(),
    user: z.string().nullable(),
    entrypoint: z.array(z.string()),
    cmd: z.array(z.string()),
    exposedPorts: z.array(z.string()),
    labels: z.record(z.string(), z.string()),
  })
  .describe("What a sandbox on this layer has by default; of layers that were made of images.");

export const layerView = z.object({
  name: z.string(),
  digest: z.string().describe("SHA-256 of the image; for dir, of its sorted file list with contents."),
  format: z.enum(["squashfs", "erofs", "dir"]),
  bytes: z.int().describe("Bytes of the image."),
  compression: z.object({ algorithm: z.string(), level: z.int().nullable(), blockBytes: z.int() }).nullable(),
  createdAt: z.string(),
  parents: z.array(z.string()),
  provenance: z.object({
    kind: z.string(),
    source: z.string(),
    commands: z.exactOptional(z.array(z.array(z.string())).describe("Programs that were run for it.")),
    inputs: z.exactOptional(
      z
        .array(
          z.object({
            kind: z.enum(["layer", "archive", "image", "image-layer", "file"]),
            name: z.string(),
            digest: z.string(),
          }),
        )
        .describe("What went into it."),
    ),
    hosts: z.exactOptional(z.array(z.string()).describe("Whom of the network it came from.")),
  }),
  binds: z.array(
    z.object({
      source: z.string(),
      target: z.string(),
      readOnly: z.boolean(),
      owner: z.enum(["keep", "root"]),
    }),
  ),
  config: z.exactOptional(imageConfig),
  warnings: z.exactOptional(
    z
      .array(z.string())
      .describe("What of that it was made on has changed since; of one layer that is asked for or made."),
  ),
});

export const captureBody = z.strictObject({
  name: newLayer.name,
  sandbox: z.string().min(1).max(63).describe("Whose changes: an id, or a name."),
  checkpoint: z.exactOptional(
    z
      .string()
      .min(1)
      .max(63)
      .describe("An id, or the name of one that the sandbox can go back to; by default as it is now."),
  ),
  ...packing,
});

export const capturedLayer = z.object({
  ...layerView.shape,
  mechanism: z
    .enum(["copy-on-write", "in-place"])
    .describe("How its changes stood still: shared until somebody writes, or because nothing in the sandbox ran."),
  frozen: z
    .boolean()
    .describe("Whether commands that ran stood still: for a moment, or `in-place` until all was packed."),
  unpacked: z.boolean().describe("Whether the checkpoint was packed, and had to be unpacked for it."),
});

export const layerList = z.object({ layers: z.array(layerView) });

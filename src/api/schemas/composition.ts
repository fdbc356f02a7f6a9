import * as z from "zod";
import { layerRef } from "./layer.ts";
import { sandboxParams, sandboxView } from "./sandbox.ts";

const processes = z
  .enum(["keep", "may-end"])
  .describe("Whether its processes may be ended for it (the default), or the request is refused rather.");

export const activateBody = z.strictObject({ layer: layerRef, processes: z.exactOptional(processes) });

export const standingParams = z.strictObject({
  ...sandboxParams.shape,
  layer: layerRef.describe("A layer that the sandbox stands on: its name, the part after the number, or its digest."),
});
export const deactivateQuery = z.strictObject({ processes: z.exactOptional(processes) });

export const recomposedView = z.object({
  sandbox: sandboxView,
  changed: z
    .array(z.string())
    .describe("The layers that it stands on since, or stands on no more; empty where it was so already."),
  processes: z.enum(["kept", "ended", "none"]).describe("What became of its processes; `none`: it had none."),
});

import { PlyboxError } from "../../model/errors.ts";

export const badImage = (what: string, cause?: unknown): PlyboxError =>
  new PlyboxError("image/invalid", `the image is refused: ${what}`, { cause });

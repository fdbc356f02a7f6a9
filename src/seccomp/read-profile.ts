import { PlyboxError } from "../model/errors.ts";
import type { SeccompProfile } from "../model/seccomp.ts";

/**
 * Checks a profile that may be anything. What checks it is loaded here, because few sandboxes bring a profile.
 * @throws PlyboxError `input/invalid` that names the first wrong field
 */
export async function readProfile(value: unknown): Promise<SeccompProfile> {
  const { profileSchema } = await import("./profile-schema.ts");
  const result = profileSchema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = ["seccomp", ...(issue?.path ?? [])].map(String).join(".");
  throw new PlyboxError("input/invalid", `${field}: ${issue?.message}`, { field });
}

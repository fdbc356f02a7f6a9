import * as z from "zod";
import { SECCOMP_PROFILES } from "../../model/seccomp.ts";
import { profileSchema } from "../../seccomp/profile-schema.ts";

export const seccomp = z
  .union([z.enum(SECCOMP_PROFILES), profileSchema], {
    error: `must be ${SECCOMP_PROFILES.join(", ")}, or a seccomp profile in the OCI format`,
  })
  .describe("Which system calls may be made: a profile by name, or one in the OCI format; `default` by default.");

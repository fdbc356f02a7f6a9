import { createHash } from "node:crypto";
import type { ExecId, SandboxId } from "../../model/ids.ts";
import { ID_ALPHABET } from "../../model/ids.ts";

/** The id of the command that is started under an idempotency key: the same key means the same command. */
export function derivedExecId(sandbox: SandboxId, key: string): ExecId {
  const digest = createHash("sha256").update(`${sandbox}\0${key}`).digest();
  let text = "";
  for (const byte of digest.subarray(0, 26)) text += ID_ALPHABET.charAt(byte & 31);
  return `ex_${text}` as ExecId;
}

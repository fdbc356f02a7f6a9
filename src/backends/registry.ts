import type { NativeLauncher } from "../native/launcher.ts";
import type { Backend, BackendName } from "./backend.ts";
import type { FreezerPlace } from "./native/freezer.ts";
import { NativeBackend } from "./native/native-backend.ts";

/** Every backend, by name. */
export const BACKENDS = {
  native: (launcher, freezer) => new NativeBackend(launcher, freezer),
} as const satisfies Record<BackendName, (launcher: NativeLauncher, freezer: FreezerPlace | undefined) => Backend>;

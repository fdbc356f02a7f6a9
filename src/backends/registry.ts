import type { NativeLauncher } from "../native/launcher.ts";
import type { Backend, BackendName } from "./backend.ts";
import { NativeBackend } from "./native/native-backend.ts";

/** Every backend, by name. */
export const BACKENDS = {
  native: (launcher) => new NativeBackend(launcher),
} as const satisfies Record<BackendName, (launcher: NativeLauncher) => Backend>;

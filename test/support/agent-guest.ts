import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { Guest } from "./guest.ts";

const VSOCK_PORT = 5000;
const PORTS = 4;

/**
 * A guest whose process 1 is `plyagent --single --vsock-port`. Its AF_VSOCK listener is reached from inside, over the
 * loopback; each connection of the guest is one to it.
 */
export function startAgentGuest(): Promise<Guest> {
  return Guest.start((directory) => {
    const bridge = join(directory, "guest-bridge");
    execFileSync("gcc", ["-static", "-Os", "-s", "-o", bridge, join(import.meta.dirname, "guest-bridge.c")]);
    return {
      init: join(import.meta.dirname, "guest-init.sh"),
      arguments: [String(VSOCK_PORT), String(PORTS)],
      programs: { "guest-bridge": bridge, plyagent: join(import.meta.dirname, "../../build/plyagent") },
      ports: PORTS,
      memoryMiB: 256,
    };
  });
}

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { networkOf, sandboxUsage } from "./sandbox-usage.ts";

const HEADINGS = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
`;
const LO =
  "    lo:  100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0\n";
// A counter that needs all of its column leaves no space behind the name's colon.
const ETH0 =
  "  eth0:123456789 20    0    0    0     0          0         0     5000      30    0    0    0     0       0          0\n";
const ETH1 =
  "  eth1:     11       1    0    0    0     0          0         0       22       1    0    0    0     0       0          0\n";

it("network bytes are those of every interface but loopback", () => {
  expect(networkOf(HEADINGS + LO + ETH0 + ETH1)).toEqual({ receivedBytes: 123456800, sentBytes: 5022 });
});

it.each([HEADINGS + LO, HEADINGS, "", undefined])(
  "network bytes are null where there is no other interface",
  (table) => {
    expect(networkOf(table)).toBeNull();
  },
);

it.each(["tmpfs", "disk"] as const)("what a directory holds that is no mount is not told, as of a %s upper", (kind) => {
  const path = mkdtempSync(join(tmpdir(), "plybox-upper-"));
  const upper = kind === "disk" ? { kind, path } : { kind, path, bytes: 1, inodes: 1 };
  expect(sandboxUsage({ cgroups: [], root: { layers: [], upper } }, process.pid)().upperBytes).toBeNull();
  rmSync(path, { recursive: true });
});

import type { ProbeGroup, ProgramProbe } from "../probe.ts";
import { inC } from "../probe.ts";

const opens = (name: string, path: string, mode = "w"): ProgramProbe =>
  inC(`device-${name}`, `open ${path}`, ["open", path, mode], {
    proof: ["ENOENT", "ENXIO"],
    lacks: { ENOENT: `this machine has no ${path}`, ENXIO: `nothing is behind ${path} on this machine` },
  });

export const DEVICES: ProbeGroup = {
  title: "Devices",
  probes: [
    inC("node-character", "make a node of /dev/null and open it", ["node", "/tmp", "c", "1", "3"]),
    inC("node-in-dev", "make a node of /dev/null in /dev, where devices work", ["node", "/dev", "c", "1", "3"]),
    inC(
      "node-block",
      "make a node of the machine's disk and open it",
      ({ device }) => ["node", "/tmp", "b", device?.major ?? "7", device?.minor ?? "0"],
      { lacks: { ENXIO: "this machine has no block device that can be opened" } },
    ),
    {
      ...inC("device-disk", "open the machine's disk by its path", ({ device }) => [
        ...["open", device?.path ?? "/dev/loop0", "r"],
      ]),
      proof: ["ENOENT"],
      lacks: { ENOENT: "this machine has no block device that can be opened" },
    },
    opens("memory", "/dev/mem", "r"),
    opens("ports", "/dev/port", "r"),
    opens("kernel-log", "/dev/kmsg"),
    opens("kvm", "/dev/kvm"),
    opens("fuse", "/dev/fuse"),
    opens("loop-control", "/dev/loop-control"),
    opens("tunnel", "/dev/net/tun"),
    opens("user-faults", "/dev/userfaultfd"),
    opens("vsock", "/dev/vsock", "r"),
    opens("console", "/dev/tty0"),
    opens("serial", "/dev/ttyS0"),
    opens("zram", "/dev/zram0", "r"),
    opens("btrfs", "/dev/btrfs-control"),
    opens("automounter", "/dev/autofs", "r"),
    opens("model-registers", "/dev/cpu/0/msr", "r"),
  ],
};

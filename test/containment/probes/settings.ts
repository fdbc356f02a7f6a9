import type { ProbeGroup, ProgramProbe } from "../probe.ts";
import { inC, inPython, inShell } from "../probe.ts";

/** A file that is not there is hidden inside, and outside nothing that could be hidden. */
function hidden(name: string, tries: string, attack: string, ...args: string[]): ProgramProbe {
  const path = args[0] ?? "";
  return inC(name, tries, [attack, ...args], {
    proof: ["ENOENT", "ENOTDIR", "ENXIO", "ENODEV", "EMPTY", "EIO"],
    lacks: { ENOENT: `this machine has no ${path}`, EMPTY: `${path} is empty on this machine` },
  });
}

const opens = (name: string, path: string) => hidden(name, `open ${path} for writing`, "open", path, "w");
const reads = (name: string, path: string) => hidden(name, `read ${path}`, "read", path);

/** The directory has something in it where its file system is mounted, which the control does for itself. */
const lists = (name: string, path: string, type?: string) => ({
  ...hidden(name, `list ${path}`, "list", path),
  ...(type !== undefined && { disposable: true, before: `mountpoint -q ${path} || mount -t ${type} none ${path}` }),
});

export const SETTINGS: ProbeGroup = {
  title: "/proc and /sys",
  probes: [
    opens("core-pattern", "/proc/sys/kernel/core_pattern"),
    inShell("core-pattern-command", "append to /proc/sys/kernel/core_pattern", [
      "append",
      "/proc/sys/kernel/core_pattern",
    ]),
    opens("modprobe-path", "/proc/sys/kernel/modprobe"),
    opens("sysrq", "/proc/sysrq-trigger"),
    opens("sysctl-kernel", "/proc/sys/kernel/randomize_va_space"),
    opens("sysctl-vm", "/proc/sys/vm/drop_caches"),
    opens("sysctl-net", "/proc/sys/net/ipv4/ip_forward"),
    opens("sysctl-fs", "/proc/sys/fs/suid_dumpable"),
    {
      ...opens("sysctl-user", "/proc/sys/user/max_user_namespaces"),
      lacks: { EACCES: "these tests lack CAP_SYS_RESOURCE" },
    },
    opens("sysctl-domain-name", "/proc/sys/kernel/domainname"),
    {
      ...opens("binfmt-misc", "/proc/sys/fs/binfmt_misc/register"),
      disposable: true,
      before: "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc",
    },
    opens("irq-affinity", "/proc/irq/default_smp_affinity"),
    opens("memory-types", "/proc/mtrr"),
    opens("pci-bus", "/proc/bus/pci/00/00.0"),
    reads("kcore", "/proc/kcore"),
    hidden("kernel-messages", "open /proc/kmsg", "open", "/proc/kmsg", "r"),
    reads("key-table", "/proc/keys"),
    reads("timers", "/proc/timer_list"),
    reads("page-counts", "/proc/kpagecount"),
    reads("page-flags", "/proc/kpageflags"),
    reads("slabs", "/proc/slabinfo"),
    reads("firmware", "/sys/firmware/acpi/tables/DSDT"),
    opens("uevent-helper", "/sys/kernel/uevent_helper"),
    opens("uevent", "/sys/devices/virtual/mem/null/uevent"),
    opens("large-pages", "/sys/kernel/mm/transparent_hugepage/enabled"),
    opens("power", "/sys/power/state"),
    opens("block-queue", "/sys/block/loop0/queue/scheduler"),
    opens("module-parameter", "/sys/module/printk/parameters/time"),
    opens("pci-rescan", "/sys/bus/pci/rescan"),
    opens("cpu-offline", "/sys/devices/system/cpu/cpu1/online"),
    opens("kernel-profile", "/sys/kernel/profiling"),
    lists("debugfs", "/sys/kernel/debug", "debugfs"),
    lists("tracefs", "/sys/kernel/tracing", "tracefs"),
    lists("securityfs", "/sys/kernel/security", "securityfs"),
    lists("efi-variables", "/sys/firmware/efi/efivars"),
    inPython("sysctl-any", "find any file below /proc/sys to open for writing", ["write-anywhere-below", "/proc/sys"], {
      proof: ["NONE"],
    }),
    inPython("sysfs-any", "find any file below /sys to open for writing", ["write-anywhere-below", "/sys"], {
      proof: ["NONE"],
    }),
  ],
};

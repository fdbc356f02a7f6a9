import type { ProbeGroup } from "../probe.ts";
import { inC, inPython, inShell } from "../probe.ts";

const noModules = { lacks: { ENOSYS: "this kernel has no modules" } };

export const KERNEL: ProbeGroup = {
  title: "The kernel of everybody",
  probes: [
    inC("clock-set", "set the clock to what it is", ["set-clock"]),
    inC("clock-zone", "set the kernel's time zone", ["set-time-zone"]),
    inC("clock-tick", "set the clock's tick by adjtimex", ["adjust-clock"]),
    inC("clock-tick-by-clock", "set the clock's tick by clock_adjtime", ["adjust-one-clock"]),
    inC("host-name", "set the host name", ["set-host-name"], { disposable: true }),
    inC("domain-name", "set the domain name", ["set-domain-name"], { disposable: true }),
    inShell("host-name-command", "set the host name by its command", ["host-name"], { disposable: true }),
    inC("module-load", "load a module", ["load-module"], noModules),
    inC("module-load-file", "load a module from a file", ["load-module-file"], noModules),
    inC("module-remove", "remove a module", ["remove-module"], noModules),
    inC("kexec", "load another kernel", ["load-kernel"]),
    inC("kexec-file", "load another kernel from a file", ["load-kernel-file"]),
    inC("reboot", "get as far as reboot's magic number", ["reboot"]),
    inC("swap-on", "get as far as the file of swapon", ["swap-on"]),
    inC("swap-off", "get as far as the file of swapoff", ["swap-off"]),
    inC("accounting", "get as far as the file of acct", ["account"]),
    inC("quota", "ask for a sync of quotas", ["quota"]),
    inC("kernel-log", "read the kernel's log by syslog", ["read-log"]),
    inC("kernel-log-level", "get as far as the level of the kernel's log", ["set-log-level"]),
    inPython("kernel-addresses", "read addresses of the kernel from /proc/kallsyms", ["see-kernel-addresses"], {
      proof: ["ZEROED", "EMPTY", "ENOENT"],
      lacks: { ENOENT: "this kernel has no /proc/kallsyms" },
    }),
    inPython("page-frames", "learn physical addresses from /proc/self/pagemap", ["see-page-frames"], {
      proof: ["ZEROED", "ENOENT"],
    }),
  ],
};

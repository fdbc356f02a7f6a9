import type { ProbeGroup } from "../probe.ts";
import { inC, inPython, inShell } from "../probe.ts";

const hidden = { proof: ["ENOENT", "NONE", "ENOTDIR"] };

export const FILES: ProbeGroup = {
  title: "Files of the host",
  probes: [
    inShell("shadow", "read the host's passwords of groups", ["show", "/etc/gshadow"], hidden),
    inShell("host-file", "read a file of the host by its path", ({ file }) => ["show", file], hidden),
    inPython(
      "host-file-link",
      "read a file of the host through a symbolic link",
      ({ file }) => ["read-by-link", file],
      hidden,
    ),
    inPython(
      "host-file-walk",
      "read a file of the host by going up beyond the root",
      ({ file }) => ["read-by-walk", file],
      hidden,
    ),
    inC(
      "chroot",
      "leave a chroot of its own, and the sandbox with it",
      ({ file }) => ["leave-chroot", "/tmp", file],
      hidden,
    ),
    inC("file-handle", "open a file of the host by its handle", ({ handles }) => [
      "open-by-handle",
      "/usr",
      handles.file,
    ]),
    inC("descriptor-leaked", "find any descriptor left open for it", ["any-descriptor"], {
      disposable: true,
      before: "exec 9</",
      proof: ["NONE"],
    }),
    inC(
      "descriptor-walk",
      "reach a file of the host through a descriptor left open for it",
      ({ file }) => {
        return ["inherited-descriptor", file];
      },
      { disposable: true, before: "exec 9</", proof: ["NONE"] },
    ),
    inC(
      "descriptor-of-init",
      "reach a file of the host through /proc/1/fd",
      ({ file }) => ["descriptor-of-init", file],
      {
        disposable: true,
        before: "exec 9</",
        proof: ["NONE"],
      },
    ),
    inC("program-write", "open a program of the host for writing", ["open", "/usr/bin/id", "w"]),
    inC("program-mode", "change the mode of a program of the host", ["change-mode", "/usr/bin/id"]),
    inPython("setuid", "become root by a setuid program", ["gain-by-setuid"], { proof: ["NO_EFFECT"] }),
    inPython("file-capability", "gain a capability by a program that carries it", ["gain-by-capability"], {
      proof: ["NO_EFFECT"],
    }),
    inC("whiteout", "make a whiteout of overlayfs in its root", ["whiteout", "/root"]),
    inC("overlay-opaque", "mark a directory as opaque for overlayfs", ["attribute", "/root", "trusted.overlay.opaque"]),
    inC("overlay-redirect", "redirect a directory for overlayfs", ["attribute", "/root", "trusted.overlay.redirect"]),
    inC("security-attribute", "label a file for a security module", ["attribute", "/root", "security.plybox"]),
  ],
};

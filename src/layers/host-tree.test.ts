import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isCurrent, makeHostTree } from "./host-tree.ts";

let root: string;
let machine: string;
let tree: string;

/** Puts a file on the machine, readable for all unless said otherwise. */
function put(path: string, content: string, mode = 0o644): void {
  mkdirSync(dirname(join(machine, path)), { recursive: true });
  writeFileSync(join(machine, path), content);
  chmodSync(join(machine, path), mode);
}

function link(path: string, target: string): void {
  mkdirSync(dirname(join(machine, path)), { recursive: true });
  symlinkSync(target, join(machine, path));
}

beforeEach(async () => {
  root = await mkdtemp("/tmp/plybox-host-");
  machine = join(root, "machine");
  tree = join(root, "tree");
  mkdirSync(tree);
  put("usr/bin/bash", "");
  put("etc/services", "http 80/tcp\n");
  put("etc/ssl/certs/ca.pem", "CERTIFICATE");
  put("etc/ssl/private/key.pem", "secret");
  for (const name of ["bin", "lib"]) link(name, `usr/${name}`);
});

afterEach(() => rm(root, { recursive: true, force: true }));

describe("host tree", () => {
  it("copies what is public and nothing else", async () => {
    put("etc/shadow", "secret");
    put("etc/sudoers", "secret");
    put("etc/passwd", "admin:x:1001:1001:secret:/home/admin:/bin/sh\n");
    put("etc/hosts", "10.0.0.1 secret\n");
    put("etc/python3.11/site.py", "print()");
    await makeHostTree(machine, tree);
    const etc = readdirSync(join(tree, "etc")).sort();
    expect(etc).toEqual([
      ...["group", "hostname", "hosts", "mtab", "nsswitch.conf", "pam.d", "passwd"],
      ...["python3.11", "resolv.conf", "services", "shadow", "ssl"],
    ]);
    expect(readdirSync(join(tree, "etc/ssl"))).toEqual(["certs"]);
    expect(readFileSync(join(tree, "etc/services"), "utf8")).toBe("http 80/tcp\n");
    const files = readdirSync(tree, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const contents = files.map((file) => readFileSync(join(file.parentPath, file.name), "utf8"));
    expect(contents.filter((content) => content.includes("secret"))).toEqual([]);
  });

  it("leaves out what not everybody may read, what is no file, and private keys", async () => {
    put("etc/magic", "secret", 0o640);
    put("etc/fonts/closed/file", "secret");
    chmodSync(join(machine, "etc/fonts/closed"), 0o750);
    put("etc/fonts/open", "fine", 0o4755);
    put("etc/ssl/certs/oops.pem", "-----BEGIN RSA PRIVATE KEY-----\n");
    put("etc/ssl/certs/closed.pem", "secret", 0o600);
    execFileSync("mkfifo", ["-m", "644", join(machine, "etc/ssl/certs/pipe")]);
    await makeHostTree(machine, tree);
    expect(existsSync(join(tree, "etc/magic"))).toBe(false);
    expect(readdirSync(join(tree, "etc/fonts"))).toEqual(["open"]);
    expect(lstatSync(join(tree, "etc/fonts/open")).mode & 0o7777).toBe(0o755);
    expect(readdirSync(join(tree, "etc/ssl/certs"))).toEqual(["ca.pem"]);
  });

  it("copies nothing below a directory that not everybody may enter", async () => {
    chmodSync(join(machine, "etc/ssl"), 0o700);
    await makeHostTree(machine, tree);
    expect(existsSync(join(tree, "etc/ssl"))).toBe(false);
  });

  it("copies symbolic links as they are and follows none", async () => {
    put("home/admin/key", "secret");
    link("etc/ssl/certs/link.pem", "/usr/share/ca.pem");
    link("etc/alternatives", "../home/admin");
    link("etc/pki", "../home/admin");
    await makeHostTree(machine, tree);
    expect(readlinkSync(join(tree, "etc/ssl/certs/link.pem"))).toBe("/usr/share/ca.pem");
    expect(readlinkSync(join(tree, "etc/alternatives"))).toBe("../home/admin");
    expect(readlinkSync(join(tree, "etc/pki"))).toBe("../home/admin");
  });

  it("links what is merged into /usr and binds what is not", async () => {
    mkdirSync(join(machine, "sbin"));
    link("lib64", "/usr/lib64");
    mkdirSync(join(machine, "elsewhere"));
    link("lib32", "elsewhere");
    const { binds } = await makeHostTree(machine, tree);
    expect(readlinkSync(join(tree, "bin"))).toBe("usr/bin");
    expect(readlinkSync(join(tree, "lib64"))).toBe("usr/lib64");
    const bind = (source: string, target: string) => ({
      source: join(machine, source),
      target,
      readOnly: true,
      owner: "keep",
    });
    expect(binds).toEqual([bind("usr", "/usr"), bind("sbin", "/sbin"), bind("elsewhere", "/lib32")]);
    for (const { target } of binds) expect(lstatSync(join(tree, target)).isDirectory()).toBe(true);
    expect(existsSync(join(tree, "libx32"))).toBe(false);
  });

  it("makes directories with the modes that programs expect, whatever the umask", async () => {
    const umask = process.umask(0o077);
    try {
      await makeHostTree(machine, tree);
    } finally {
      process.umask(umask);
    }
    const mode = (path: string) => (lstatSync(join(tree, path)).mode & 0o7777).toString(8);
    const paths = [".", "tmp", "var/tmp", "root", "home/user", "etc", "etc/ssl", "etc/services", "usr"];
    expect(paths.map(mode)).toEqual(["755", "1777", "1777", "700", "755", "755", "755", "644", "755"]);
  });

  it.each<[string, () => void]>([
    ["a file's content changes", () => put("etc/services", "other")],
    ["a file below changes", () => writeFileSync(join(machine, "etc/ssl/certs/ca.pem"), "OTHER")],
    ["a file below becomes private", () => chmodSync(join(machine, "etc/ssl/certs/ca.pem"), 0o600)],
    ["a file appears below", () => put("etc/ssl/certs/new.pem", "")],
    ["a listed file appears", () => put("etc/mime.types", "")],
    ["a directory that a pattern matches appears", () => put("etc/python3.99/x", "")],
    ["a file goes", () => rmSync(join(machine, "etc/services"))],
    [
      "a parent becomes a file",
      () => {
        renameSync(join(machine, "etc/ssl"), join(machine, "moved"));
        put("etc/ssl", "");
      },
    ],
    [
      "a program directory becomes one of its own",
      () => {
        rmSync(join(machine, "lib"));
        mkdirSync(join(machine, "lib"));
      },
    ],
    ["bash goes", () => rmSync(join(machine, "usr/bin/bash"))],
  ])("is out of date when %s", async (_, change) => {
    const { inputs } = await makeHostTree(machine, tree);
    expect(isCurrent(machine, inputs)).toBe(true);
    change();
    expect(isCurrent(machine, inputs)).toBe(false);
  });

  it("stays current when what it does not show changes", async () => {
    const { inputs } = await makeHostTree(machine, tree);
    put("etc/shadow", "secret");
    put("etc/ssl/private/other.pem", "secret");
    expect(isCurrent(machine, inputs)).toBe(true);
  });
});

import { chmod, lchown, mkdir, writeFile } from "node:fs/promises";

/** The unprivileged account of the generated passwd. */
const USER_ID = 1000;

/** Directories that every base layer has, parents first: mount points, and what programs expect to exist. */
const DIRECTORIES: readonly (readonly [path: string, mode: number, owner?: number])[] = [
  ["dev", 0o755],
  ["etc", 0o755],
  ["etc/pam.d", 0o755],
  ["home", 0o755],
  ["home/user", 0o755, USER_ID],
  ["mnt", 0o755],
  ["opt", 0o755],
  ["proc", 0o555],
  ["root", 0o700],
  ["run", 0o755],
  ["run/lock", 0o1777],
  ["srv", 0o755],
  ["sys", 0o555],
  ["tmp", 0o1777],
  ["usr", 0o755],
  ["var", 0o755],
  ["var/cache", 0o755],
  ["var/lib", 0o755],
  ["var/log", 0o755],
  ["var/tmp", 0o1777],
];

const passwd = (shell: string): string => `\
root:x:0:0:root:/root:${shell}
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
user:x:${USER_ID}:${USER_ID}:user:/home/user:${shell}
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`;

const GROUP = `\
root:x:0:
daemon:x:1:
tty:x:5:
users:x:100:
user:x:${USER_ID}:
nogroup:x:65534:
`;

/** Nobody has a password: root becomes anybody, and whoever is given one can use it. */
const SHADOW = ["root", "daemon", "user", "nobody"].map((name) => `${name}:*:::::::\n`).join("");

/** For every program that asks PAM, such as su and runuser, which without any rules lets nobody do anything. */
const PAM = `\
auth sufficient pam_rootok.so
auth required pam_unix.so
account required pam_unix.so
password required pam_unix.so
session required pam_unix.so
`;

/** Names are looked up in files and DNS alone: the machine's directory services are not there inside. */
const NSSWITCH = `\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
ethers: files
rpc: files
`;

/**
 * Fills an empty directory with what every base layer has: directories, accounts, and empty files in /etc over which
 * each sandbox's own are mounted.
 */
export async function makeSkeleton(tree: string, shell: string): Promise<void> {
  await chmod(tree, 0o755);
  for (const [path, mode, owner = 0] of DIRECTORIES) {
    await mkdir(`${tree}/${path}`);
    // mkdir's mode is subject to the umask.
    await chmod(`${tree}/${path}`, mode);
    await own(`${tree}/${path}`, owner);
  }
  const files = {
    passwd: passwd(shell),
    group: GROUP,
    "pam.d/other": PAM,
    "nsswitch.conf": NSSWITCH,
    hosts: "",
    hostname: "",
    "resolv.conf": "",
  };
  for (const [name, content] of Object.entries(files)) await makeFile(`${tree}/etc/${name}`, content, 0o644);
  await makeFile(`${tree}/etc/shadow`, SHADOW, 0o600);
}

export async function makeFile(path: string, content: string | Uint8Array, mode: number): Promise<void> {
  await writeFile(path, content, { flag: "wx" });
  await chmod(path, mode);
}

/** Without root's privileges, or in a namespace that does not have the id, every file is its maker's. */
async function own(path: string, id: number): Promise<void> {
  if (process.geteuid?.() !== 0) return;
  await lchown(path, id, id).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EINVAL") throw error;
  });
}

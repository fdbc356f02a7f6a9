import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { lstat, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { HOST_TEXT } from "../ground.ts";
import type { Facts, OutsideProbe, ProbeGroup } from "../probe.ts";
import type { Target } from "../target.ts";
import { resultOf } from "../verdict.ts";

const run = promisify(execFile);
const NOBODY = 65_534;
const UP = "../".repeat(24);

/** A directory of the host with one file, for as long as `use` takes. */
async function withVictim<T>(use: (victim: string) => Promise<T>): Promise<T> {
  const victim = mkdtempSync(join(tmpdir(), "plybox-victim-"));
  chmodSync(victim, 0o777);
  writeFileSync(join(victim, "file"), HOST_TEXT, { mode: 0o666 });
  try {
    return await use(victim);
  } finally {
    rmSync(victim, { recursive: true, force: true });
  }
}

const isUnharmed = (victim: string): boolean =>
  readdirSync(victim).join() === "file" &&
  readFileSync(join(victim, "file"), "utf8") === HOST_TEXT &&
  (statSync(join(victim, "file")).mode & 0o4000) === 0;

/** What the file API says, which refuses most of this. */
async function answered(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch {
    return undefined;
  }
}

/** Something that follows a link out of a directory: without care on the host, and by the file API in the sandbox. */
interface FollowedLink {
  readonly name: string;
  readonly tries: string;
  /** On a link to the directory of the victim. */
  careless(link: string): Promise<unknown>;
  careful(files: Target["box"]["files"], link: string): Promise<unknown>;
}

function follows({ name, tries, careless, careful }: FollowedLink): OutsideProbe {
  return {
    ...{ name, tries, language: "TypeScript" },
    outside: () =>
      withVictim(async (victim) => {
        return await withVictim(async (place) => {
          symlinkSync(victim, join(place, "link"));
          return (await careless(join(place, "link"))) === HOST_TEXT || !isUnharmed(victim);
        });
      }),
    inside: ({ box }) =>
      withVictim(async (victim) => {
        const link = `/tmp/link-${basename(victim)}`;
        const planted = await box.exec(["ln", "-s", victim, link]);
        if (planted.code !== 0) throw new Error(planted.stderr);
        return (await answered(() => careful(box.files, link))) === HOST_TEXT || !isUnharmed(victim);
      }),
  };
}

/** A tar archive, made by a line of shell that is given the directory of the victim. */
async function archiveOf(line: string, victim: string): Promise<Uint8Array> {
  const directory = mkdtempSync(join(tmpdir(), "plybox-archive-"));
  try {
    await run("sh", ["-ec", `cd "$1"; mkdir tree; cd tree; ${line}`, "sh", directory, victim]);
    return readFileSync(join(directory, "a.tar"));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What older tar programs did, and Python's still does where it is told to trust. */
const UNPACK = `
import sys, tarfile
archive = tarfile.open(sys.argv[1])
trusted = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
archive.extractall(sys.argv[2], **trusted)
`;

/** An archive that writes elsewhere than where it is unpacked. */
const unpacks = (name: string, tries: string, line: string): OutsideProbe => ({
  ...{ name, tries, language: "TypeScript" },
  outside: () =>
    withVictim(async (victim) => {
      const archive = await archiveOf(line, victim);
      return await withVictim(async (place) => {
        writeFileSync(join(place, "a.tar"), archive);
        await run("/usr/bin/python3", ["-c", UNPACK, join(place, "a.tar"), place]);
        return !isUnharmed(victim);
      });
    }),
  inside: ({ box }) =>
    withVictim(async (victim) => {
      const archive = await archiveOf(line, victim);
      await answered(() => box.files.uploadTar(`/tmp/unpacked-${basename(victim)}`, archive));
      return !isUnharmed(victim);
    }),
});

const LEAST_ROUNDS = 150;
/** A race whose ways do not come within so many rounds is not run. */
const MOST_ROUNDS = 50_000;

type Seen = "own" | "astray" | "nothing";

/** Reads a path again and again, until what was seen is `enough`: the file inside, that of the host, or none. */
async function race(read: () => Promise<string>, enough: readonly Seen[]): Promise<ReadonlySet<Seen>> {
  const seen = new Set<Seen>();
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const text = await answered(read);
    seen.add(text === HOST_TEXT ? "astray" : text === "own\n" ? "own" : "nothing");
    if (round >= LEAST_ROUNDS && enough.every((one) => seen.has(one))) return seen;
  }
  throw new Error(`saw only ${[...seen].join(" and ")}`);
}

/** PLACE VICTIM NAME */
const SWAPPED = 'mkdir -p "$1/tree"; echo own >"$1/tree/$3"; ln -s "$2" "$1/link"';

const racing: OutsideProbe = {
  name: "api-race",
  tries: "have the file API read through a directory that becomes a link out while it looks",
  language: "TypeScript",
  outside: async (facts) =>
    await withVictim(async (victim) => {
      const place = mkdtempSync(join(tmpdir(), "plybox-race-"));
      await run("sh", ["-ec", SWAPPED, "sh", place, victim, "file"]);
      const swapper = spawn(join(facts.directory, "attacks"), ["swap", join(place, "tree"), join(place, "link")]);
      try {
        await once(swapper.stdout, "data");
        // Careful, but not careful enough: it looks first, and then reads.
        const file = join(place, "tree/file");
        const look = async (): Promise<string> =>
          (await lstat(join(place, "tree"))).isDirectory() ? await readFile(file, "utf8") : "a link";
        return (await race(look, ["own", "astray"])).has("astray");
      } finally {
        swapper.stdin.end();
        await once(swapper, "close");
        rmSync(place, { recursive: true, force: true });
      }
    }),
  inside: async ({ box }, { file }) => {
    const place = "/tmp/race";
    const [victim, name] = [dirname(file), basename(file)];
    const made = await box.exec(["sh", "-ec", SWAPPED, "sh", place, victim, name]);
    if (made.code !== 0) throw new Error(made.stderr);
    await box.hold(["/probe/attacks", "swap", `${place}/tree`, `${place}/link`]);
    // Where it finds nothing, it has met the link, which leads nowhere inside.
    return (await race(() => box.files.readText(`${place}/tree/${name}`), ["own", "nothing"])).has("astray");
  },
};

/** Runs a program as nobody, and says whether it ran as root. */
async function runsAsRoot(program: string): Promise<boolean> {
  try {
    return (await run(program, ["-u"], { uid: NOBODY, gid: NOBODY })).stdout.trim() === "0";
  } catch {
    return false;
  }
}

const setuidOutside: OutsideProbe = {
  name: "upper-setuid",
  tries: "leave a setuid program that a user of the host runs as root",
  language: "TypeScript",
  outside: () =>
    withVictim(async (place) => {
      const program = join(place, "id");
      await run("cp", ["/usr/bin/id", program]);
      chmodSync(program, 0o4755);
      return await runsAsRoot(program);
    }),
  inside: async ({ box, daemon }) => {
    const made = await box.exec(["sh", "-ec", "cp /usr/bin/id /plybox-setuid; chmod 4755 /plybox-setuid"]);
    if (made.code !== 0) throw new Error(made.stderr);
    const { stdout } = await run("find", [daemon.runDir, daemon.stateDir, "-xdev", "-name", "plybox-setuid"]);
    const mounted = readFileSync("/proc/self/mounts", "utf8")
      .split("\n")
      .map((line) => line.split(" ")[1] ?? "")
      .filter((point) => point.startsWith(daemon.runDir));
    const uppers = mounted.map((point) => join(point, "upper/plybox-setuid"));
    const copies = [...stdout.trim().split("\n"), ...uppers].filter((path) => path !== "" && existsSync(path));
    for (const copy of copies) if (await runsAsRoot(copy)) return true;
    return false;
  },
};

const uidOf = (pid: number | "self"): number =>
  Number(/^Uid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

const rootOutside: OutsideProbe = {
  name: "root-outside",
  tries: "be root of the host while it is root inside",
  language: "TypeScript",
  outside: async () => uidOf("self") === 0,
  inside: async ({ box }) => uidOf(box.pid) === 0,
};

/** Where a link of /proc leads; undefined when it has gone, as descriptors do that are closed meanwhile. */
function pathOf(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return undefined;
  }
}

/**
 * Whether a process holds something of the host's files open: what has a path that is neither a device nor a cgroup, nor
 * what its own /proc, which is not the host's, has of it.
 */
function holdsFiles(pid: number): boolean {
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => `/proc/${pid}/fd/${fd}`)
    .some((link) => {
      const path = pathOf(link);
      if (!path?.startsWith("/") || /^\/(dev\/null|memfd:.*|sys\/fs\/cgroup\/.*|plybox-.*)$/.test(path)) return false;
      return !path.endsWith("/1/oom_score_adj") || statSync(link).dev === statSync("/proc").dev;
    });
}

const initDescriptors: OutsideProbe = {
  name: "descriptors-of-init",
  tries: "start with process 1 holding a file of the host open",
  language: "TypeScript",
  outside: async ({ holderPid }) => holdsFiles(holderPid),
  inside: async ({ box }) => holdsFiles(box.pid),
};

async function hasUnsealedProgram(pid: number, { directory }: Facts): Promise<boolean> {
  const { code, stdout, stderr } = await run(join(directory, "attacks"), ["unsealed-program", String(pid)]).then(
    (done) => ({ ...done, code: 0 }),
    (error: { readonly code: number; readonly stdout: string; readonly stderr: string }) => error,
  );
  const result = resultOf({ code, signal: null, stdout, stderr });
  if (result.kind === "broken") throw new Error(result.why);
  return result.kind === "succeeded";
}

const unsealed: OutsideProbe = {
  name: "agent-unsealed",
  tries: "have an agent whose program can be written to by who gets hold of it, as runc once could",
  language: "TypeScript",
  outside: (facts) => hasUnsealedProgram(facts.holderPid, facts),
  inside: ({ box }, facts) => hasUnsealedProgram(box.pid, facts),
};

const sharedLayer: OutsideProbe = {
  name: "layer-of-neighbour",
  tries: "change a file of a layer that another sandbox stands on",
  language: "TypeScript",
  outside: () =>
    withVictim(async (place) => {
      writeFileSync(join(place, "file"), "changed\n");
      return !isUnharmed(place);
    }),
  inside: async ({ box, neighbour }) => {
    const changed = await box.exec(["sh", "-ec", "echo changed >>/etc/passwd; rm -r /etc/alternatives"]);
    if (changed.code !== 0) throw new Error(changed.stderr);
    const seen = await neighbour.exec(["sh", "-ec", "cat /etc/passwd; ls -d /etc/alternatives"]);
    return seen.code !== 0 || seen.stdout.includes("changed");
  },
};

export const OUTSIDE: ProbeGroup = {
  title: "What those outside do with it",
  probes: [
    follows({
      name: "api-read-link",
      tries: "have the file API read through a link out",
      careless: async (link) => readFileSync(join(link, "file"), "utf8"),
      careful: (files, link) => files.readText(`${link}/file`),
    }),
    follows({
      name: "api-write-link",
      tries: "have the file API write through a link out",
      careless: async (link) => writeFileSync(join(link, "new"), "x"),
      careful: (files, link) => files.write(`${link}/new`, "x"),
    }),
    follows({
      name: "api-replace-link",
      tries: "have the file API write over a file through a link out",
      careless: async (link) => writeFileSync(join(link, "file"), "x"),
      careful: (files, link) => files.write(`${link}/file`, "x"),
    }),
    follows({
      name: "api-mode-link",
      tries: "have the file API make a file setuid through a link out",
      careless: async (link) => chmodSync(join(link, "file"), 0o4755),
      careful: (files, link) => files.chmod(`${link}/file`, 0o4755),
    }),
    follows({
      name: "api-remove-link",
      tries: "have the file API remove files through a link out",
      careless: async (link) => readdirSync(link).map((name) => unlinkSync(join(link, name))),
      careful: (files, link) => files.remove(link, { recursive: true }),
    }),
    {
      name: "api-read-walk",
      tries: "have the file API read a path that goes up beyond the root",
      language: "TypeScript",
      outside: async ({ file }) => readFileSync(`/tmp/${UP}${file}`, "utf8") === HOST_TEXT,
      inside: async ({ box }, { file }) =>
        (await answered(() => box.files.readText(`/tmp/${UP}${file}`))) === HOST_TEXT,
    },
    {
      name: "api-read-root",
      tries: "have the file API read through the root of process 1",
      language: "TypeScript",
      outside: async ({ file }) => readFileSync(`/proc/self/root${file}`, "utf8") === HOST_TEXT,
      inside: async ({ box }, { file }) => {
        const ways = [
          "/proc/1/root",
          "/proc/self/root",
          "/proc/self/cwd",
          "/proc/1/cwd",
          "/proc/self/fd/3/..",
          "/proc/1/fd/4/..",
        ];
        const seen = await Promise.all(ways.map((way) => answered(() => box.files.readText(`${way}/${UP}${file}`))));
        return seen.includes(HOST_TEXT);
      },
    },
    racing,
    unpacks(
      "api-archive-link",
      "have the file API unpack an archive that writes through a link it brings",
      'ln -s "$2" way; tar -cf ../a.tar way; rm way; mkdir way; echo x >way/new; tar -rf ../a.tar way/new',
    ),
    unpacks(
      "api-archive-walk",
      "have the file API unpack an archive with a path that goes up",
      `echo x >new; tar --absolute-names --transform "s,^new,${UP}$2/new," -cf ../a.tar new`,
    ),
    unpacks(
      "api-archive-absolute",
      "have the file API unpack an archive with an absolute path",
      'echo x >new; tar --absolute-names --transform "s,^new,$2/new," -cf ../a.tar new',
    ),
    setuidOutside,
    rootOutside,
    unsealed,
    initDescriptors,
    sharedLayer,
  ],
};

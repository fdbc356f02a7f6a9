import { afterAll, beforeAll, expect, it } from "vitest";
import { Workbox } from "../../support/workbox.ts";

let box: Workbox;

beforeAll(async () => {
  box = await Workbox.open();
  await box.run("git config --global user.name tester && git config --global user.email tester@example.org");
});
afterAll(() => box[Symbol.asyncDispose]());

it("commits, branches, merges and shows what came of it", async () => {
  const script = `git init -q -b main /root/work && cd /root/work
    seq 100 > numbers && git add . && git commit -qm first
    git checkout -qb other && sed -i 's/^50$/fifty/' numbers && git commit -qam other
    git checkout -q main && sed -i '1i zero' numbers && git commit -qam main && git merge -q --no-edit other > /dev/null
    sed -n '1p;51p' numbers && git log --oneline | wc -l && git fsck --strict && git status --porcelain`;
  expect(await box.run(script)).toBe("zero\nfifty\n4\n");
});

it("clones, pushes to a bare repository and checks out a second work tree", async () => {
  const script = `git init -q --bare -b main /root/bare.git && git clone -q file:///root/bare.git /root/clone 2>&1
    cd /root/clone && mkdir -p a/b && head -c 300000 /dev/urandom > a/b/blob && git add . && git commit -qm blob
    git push -q origin HEAD:main && git gc -q && git clone -q --depth 1 file:///root/bare.git /root/shallow
    cmp a/b/blob /root/shallow/a/b/blob && git worktree add -q ../tree -b side && git -C ../tree branch --show-current`;
  expect(await box.run(script)).toContain("side\n");
});

it("serves a repository on the loopback interface", async () => {
  const script = `git init -q -b main /root/served && cd /root/served && echo served > file && git add . && git commit -qm one
    git daemon --reuseaddr --base-path=/root --export-all --port=9418 --detach --pid-file=/root/git.pid
    until git ls-remote -q git://127.0.0.1/served > /dev/null 2>&1; do :; done
    git clone -q git://127.0.0.1/served /root/fetched && cat /root/fetched/file; kill "$(cat /root/git.pid)"`;
  expect(await box.run(script)).toBe("served\n");
});

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Workbox } from "../../support/workbox.ts";

let box: Workbox;

beforeAll(async () => {
  box = await Workbox.open();
});
afterAll(() => box[Symbol.asyncDispose]());

/** Writes files below a directory of its own, and runs a script there. */
async function inDirectory(name: string, files: Readonly<Record<string, string>>, script: string): Promise<string> {
  const directory = `/root/${name}`;
  for (const [file, content] of Object.entries(files))
    await box.sandbox.files.write(`${directory}/${file}`, content, { parents: true });
  return await box.run(script, { cwd: directory });
}

describe.concurrent("compilers", () => {
  it("build a C program of two files with make, in parallel and again only where something changed", async () => {
    const files = {
      Makefile: "app: main.o sum.o\n\tcc -o $@ $^\n%.o: %.c\n\tcc -O2 -Wall -Werror -c -o $@ $<\n",
      "main.c": '#include <stdio.h>\nint sum(int);\nint main(void) { printf("%d\\n", sum(100)); }\n',
      "sum.c": "int sum(int n) { int s = 0; while (n) s += n--; return s; }\n",
    };
    const script = "make -s -j4 && ./app && touch sum.c && make -n | grep -c -- ' -c '";
    expect(await inDirectory("make", files, script)).toBe("5050\n1\n");
  });

  it("build a C++ program that uses threads and exceptions, with the address sanitizer too", async () => {
    const files = {
      "main.cpp": `#include <future>
#include <iostream>
#include <stdexcept>
int main() {
  auto failing = std::async(std::launch::async, []() -> int { throw std::runtime_error("thrown in a thread"); });
  try { failing.get(); } catch (const std::exception& error) { std::cout << error.what() << "\\n"; }
}
`,
    };
    const build =
      "g++ -std=c++20 -O1 -pthread main.cpp -o plain && g++ -pthread -fsanitize=address main.cpp -o checked";
    expect(await inDirectory("threads", files, `${build} && ./plain && ./checked`)).toBe(
      "thrown in a thread\n".repeat(2),
    );
  });

  it("link against a shared library that is built inside", async () => {
    const files = {
      "answer.c": "int answer(void) { return 42; }\n",
      "main.c": '#include <stdio.h>\nint answer(void);\nint main(void) { printf("%d\\n", answer()); }\n',
    };
    const script = "gcc -shared -fPIC -o libanswer.so answer.c && gcc main.c -L. -lanswer && LD_LIBRARY_PATH=. ./a.out";
    expect(await inDirectory("shared", files, script)).toBe("42\n");
  });
});

describe.concurrent("debuggers", () => {
  const source = "int twice(int n) { return 2 * n; }\nint main(void) { return twice(21) - 42; }\n";

  it("gdb stops a program and looks into it", async () => {
    const script = `gcc -g -O0 main.c -o main
      gdb -batch -nx -ex 'break twice' -ex run -ex 'print n' -ex finish -ex continue ./main`;
    const output = await inDirectory("gdb", { "main.c": source }, script);
    expect(output).toContain("$1 = 21");
    expect(output).toContain("Value returned is $2 = 42");
    expect(output).toMatch(/exited normally/);
  });

  it("strace follows a program and what it starts", async () => {
    const output = await box.run(
      "strace -f -e trace=execve -o /root/calls sh -c '/bin/true; exit 3' || cat /root/calls",
    );
    expect(output).toMatch(/execve\("\/bin\/true", .* = 0/);
    expect(output).toContain("exited with 3");
  });
});

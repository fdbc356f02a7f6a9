#include "common/clone-on.h"

#include <sys/mman.h>

#include <cerrno>

namespace plybox {
namespace {

constexpr size_t kStackBytes = 256 << 10;
constexpr size_t kGuardBytes = 64 << 10;

using ChildFunction = int (*)(void*);

// clone3 leaves the child on its new, empty stack: it cannot return through a C function, so the call and what follows
// it in the child are one piece of assembly.
#if defined(__x86_64__)
long clone3_call(sys::CloneArgs* args, ChildFunction child, void* argument) {
  long result;
  register void* r8 asm("r8") = argument;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r8, %%rdi\n\t"
      "call *%%rdx\n\t"
      "hlt\n"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args)), "d"(child), "r"(r8)
      : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
long clone3_call(sys::CloneArgs* args, ChildFunction child, void* argument) {
  register long x8 asm("x8") = SYS_clone3;
  register long x0 asm("x0") = reinterpret_cast<long>(args);
  register long x1 asm("x1") = sizeof(*args);
  register ChildFunction x2 asm("x2") = child;
  register void* x3 asm("x3") = argument;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, x3\n\t"
      "blr x2\n\t"
      "brk #0\n"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(x2), "r"(x3)
      : "memory", "cc");
  return x0;
}
#else
long clone3_call(sys::CloneArgs*, ChildFunction, void*) { return -ENOSYS; }
#endif

}  // namespace

Stack make_stack() {
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {nullptr, 0};
  char* above = static_cast<char*>(memory) + kGuardBytes;
  if (mprotect(above, kStackBytes, PROT_READ | PROT_WRITE) != 0) return {nullptr, 0};
  return {above, kStackBytes};
}

pid_t clone_on(Stack stack, sys::CloneArgs args, int (*child)(void*), void* argument) {
  args.stack = reinterpret_cast<uint64_t>(stack.bottom);
  args.stack_size = stack.size;
  long result = clone3_call(&args, child, argument);
  if (result >= 0) return static_cast<pid_t>(result);
  errno = static_cast<int>(-result);
  return -1;
}

}  // namespace plybox

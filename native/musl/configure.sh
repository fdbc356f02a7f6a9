#!/bin/sh
# Prints the make variables of the musl build, derived from the compilers that are installed, and makes the directory
# of kernel and RapidJSON headers named by $1. Where something is missing it says which Debian package has it.
set -u
headers=$1
cxx=${CXX:-g++}
musl=${MUSL_GCC:-musl-gcc}

missing() {
  echo "plybox: $1 is missing, which the native programs are built with. On Debian: apt-get install $2" >&2
  exit 1
}

# The directory in which the compiler finds header $1.
directory_of() {
  echo "#include <$1>" | "$cxx" -x c++ -M - 2>/dev/null | tr ' \\' '\n\n' | grep "/$1\$" | head -n 1 | sed "s|/$1\$||"
}

command -v "$cxx" >/dev/null || missing "a C++ compiler ($cxx)" g++
command -v "$musl" >/dev/null || missing "musl ($musl)" musl-tools
rapidjson=$(directory_of rapidjson/document.h)
[ -n "$rapidjson" ] || missing RapidJSON rapidjson-dev

mkdir -p "$headers" || exit 1
for name in linux/version.h asm-generic/errno.h asm/unistd.h; do
  directory=$(directory_of "$name")
  [ -n "$directory" ] || missing "the kernel's header $name" linux-libc-dev
  ln -sfn "$directory/${name%%/*}" "$headers/${name%%/*}"
done
ln -sfn "$rapidjson/rapidjson" "$headers/rapidjson"

# libstdc++'s directories, then musl's, then the compiler's own (stddef.h and the like).
search() { LC_ALL=C "$@" -E -v /dev/null 2>&1 | sed -n '/^#include </,/^End of/s/^ //p'; }
for directory in $(search "$cxx" -x c++ | grep '/c++/') $(search "$musl" -x c | grep musl); do
  printf 'MUSL_INCLUDES += -isystem %s\n' "$directory"
done
printf 'MUSL_INCLUDES += -isystem %s -isystem %s\n' "$("$cxx" -print-file-name=include)" "$headers"

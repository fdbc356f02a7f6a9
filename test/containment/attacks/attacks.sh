#!/bin/sh
# Attacks as one would type them: the same protocol as attack.h. NAME ARGUMENT...
set -u

succeeded() {
  echo succeeded
  exit 0
}

# Runs a command, and takes its failure for a refusal where it says so in the words of an errno.
try() {
  step=$1
  shift
  if words=$("$@" 2>&1 >/dev/null); then succeeded; fi
  refused "$step" "$words"
}

refused() {
  case $2 in
    *"Permission denied"* | *"permission denied"*) reason=EACCES ;;
    *"Operation not permitted"* | *"must be superuser"* | *"must be root"*) reason=EPERM ;;
    *"Read-only file system"* | *"write-protected"*) reason=EROFS ;;
    *"No such file or directory"* | *"does not exist"* | *"nonexistent"*) reason=ENOENT ;;
    *"No space left on device"*) reason=ENOSPC ;;
    *"No such process"*) reason=ESRCH ;;
    *NO_EFFECT*) reason=NO_EFFECT ;;
    *)
      echo "broken $1: $2"
      exit 30
      ;;
  esac
  echo "refused $1 $reason"
  exit 10
}

# FILE: opens it for appending, and writes nothing.
append() { try open sh -c 'exec 3>>"$1"' append "$1"; }

# FILE
show() { try cat cat "$1"; }

# DIRECTORY: the first step of many escapes.
mount_memory() { try mount mount -t tmpfs none "$1"; }

# POINT
make_writable() { try mount mount -o remount,bind,rw "$1"; }

# The classic escape by cgroup version 1: the kernel runs the release agent on the host. The hierarchy is one of its own,
# without controllers, so that outside nothing else is touched.
release_agent() {
  point=$(mktemp -d)
  if ! words=$(mount -t cgroup -o none,name=plyboxprobe none "$point" 2>&1); then
    rmdir "$point"
    refused mount "$words"
  fi
  words=$(sh -c 'echo /bin/true >"$1/release_agent"' release "$point" 2>&1)
  status=$?
  umount "$point"
  rmdir "$point"
  if [ $status -eq 0 ]; then succeeded; fi
  refused release_agent "$words"
}

# The same from a user namespace, where the right to mount is free.
release_agent_as_user_root() {
  try unshare unshare --user --map-root-user --mount --cgroup sh -c 'mount -t cgroup2 none /mnt && [ -w /mnt/cgroup.procs ]'
}

# All that is needed to be root of something.
become_user_root() { try unshare unshare --user --map-root-user --mount --pid --fork true; }

host_name() { try hostname hostname "$(hostname)"; }

# PID: ends it, and looks whether it has. Only process 1 may live on: any other has the time that a busy machine takes.
end() {
  victim=$1
  if [ "$victim" = child ]; then
    sleep 30 &
    victim=$!
  fi
  for name in KILL TERM INT SEGV; do
    words=$(kill -s $name "$victim" 2>&1) && continue
    # It was there for the first of them.
    if [ $name != KILL ] && ! kill -0 "$victim" 2>/dev/null; then succeeded; fi
    refused kill "$words"
  done
  looks=1000
  if [ "$victim" = 1 ]; then looks=10; fi
  for _ in $(seq $looks); do
    if ! kill -0 "$victim" 2>/dev/null || grep -q '^State:.Z' "/proc/$victim/status" 2>/dev/null; then succeeded; fi
    sleep 0.02
  done
  refused kill NO_EFFECT
}

# Looks for a writable cgroup file in every place that cgroups are found at.
leave_cgroup() {
  for file in $(find "$1" -maxdepth 4 \( -name cgroup.procs -o -name tasks \) 2>/dev/null); do
    if [ -w "$file" ] && sh -c 'exec 3>>"$1"' append "$file" 2>/dev/null; then succeeded; fi
  done
  refused find "No such file or directory"
}

name=$1
shift
"$(echo "$name" | tr - _)" "$@"

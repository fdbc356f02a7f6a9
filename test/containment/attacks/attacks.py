"""Attacks that are a few lines of Python: the same protocol as attack.h."""

import ctypes
import errno
import os
import pathlib
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

NOBODY = 65534
LIBC = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """Something answered, and it was not what the attack wants; the reason is one word."""


def processes():
    return [entry for entry in pathlib.Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid()]


def readable(path):
    """What a file of another process says, or nothing where that is hidden or gone."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def require(found):
    if not found:
        raise Refused("NONE")


def see_process(head, tail):
    """Finds a process by a word of its command line."""
    word = (head + tail).encode()
    require(any(word in readable(entry / "cmdline") for entry in processes()))


def see_environment(mark):
    """Finds a word in the environment of a process, its own too."""
    own = readable(pathlib.Path("/proc/self/environ"))
    require(mark.encode() in own or any(mark.encode() in readable(entry / "environ") for entry in processes()))


def see_working_directory(path):
    """Finds a process that works in a directory."""
    for entry in processes():
        try:
            if os.readlink(entry / "cwd") == path:
                return
        except OSError:
            pass
    raise Refused("NONE")


def see_mount(text):
    """Finds a text, such as a path of the host, in what the kernel says of mounts."""
    tables = ["/proc/self/mountinfo", "/proc/self/mounts", "/proc/self/mountstats", "/proc/1/mountinfo"]
    require(any(text.encode() in readable(pathlib.Path(table)) for table in tables))


def see_port(port):
    """Finds a listener in the kernel's table of connections."""
    local = f":{int(port):04X}"
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    require(any(row[1].endswith(local) and row[3] == "0A" for row in rows))


def see_socket_name(name):
    """Finds the name of an abstract socket."""
    require(f"@{name}" in pathlib.Path("/proc/net/unix").read_text())


def see_kernel_addresses():
    lines = pathlib.Path("/proc/kallsyms").read_text().splitlines()
    if not lines:
        raise Refused("EMPTY")
    if all(int(line.split()[0], 16) == 0 for line in lines[:1000]):
        raise Refused("ZEROED")


def see_page_frames():
    """Learns where in the machine's memory a page lies."""
    page = ctypes.create_string_buffer(b"x", 4096)
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:
        pagemap.seek(ctypes.addressof(page) // 4096 * 8)
        (entry,) = struct.unpack("Q", pagemap.read(8))
    if entry & ((1 << 55) - 1) == 0:
        raise Refused("ZEROED")


def read_file(path):
    pathlib.Path(path).read_bytes()


def read_by_link(path):
    """Reads a file of the host through a symbolic link."""
    with tempfile.TemporaryDirectory() as directory:
        link = os.path.join(directory, "link")
        os.symlink(path, link)
        read_file(link)


def read_by_walk(path):
    """Reads a file of the host by going up beyond the root."""
    read_file("/" + "../" * 24 + path)


def read_by_root_of(path, *pids):
    """Reads a file of the host through the root of other processes."""
    refusal = FileNotFoundError(errno.ENOENT, "no process", "open")
    for pid in pids or [entry.name for entry in processes()]:
        try:
            read_file(f"/proc/{pid}/root{path}")
            return
        except OSError as error:
            refusal = error
    raise refusal


def make_setuid(source, prepare):
    """A copy of a program of the system that everybody may run, in a directory that everybody may enter."""
    directory = tempfile.mkdtemp()
    os.chmod(directory, 0o755)
    copy = os.path.join(directory, "program")
    shutil.copyfile(source, copy)
    os.chmod(copy, 0o755)
    prepare(copy)
    return copy


def run_as_nobody(copy, *arguments):
    try:
        return subprocess.run([copy, *arguments], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, check=True).stdout
    finally:
        shutil.rmtree(os.path.dirname(copy))


def gain_by_setuid():
    """Becomes root by a setuid program."""
    copy = make_setuid("/usr/bin/id", lambda path: os.chmod(path, 0o4755))
    if run_as_nobody(copy, "-u").strip() != "0":
        raise Refused("NO_EFFECT")


def gain_by_capability():
    """Gains a capability by a program that carries it."""
    chown = 1 << 0
    value = struct.pack("<IIIII", 0x02000001, chown, 0, 0, 0)
    copy = make_setuid("/usr/bin/cat", lambda path: os.setxattr(path, "security.capability", value))
    lines = run_as_nobody(copy, "/proc/self/status").splitlines()
    effective = next(int(line.split()[1], 16) for line in lines if line.startswith("CapEff"))
    if effective & chown == 0:
        raise Refused("NO_EFFECT")


def write_anywhere_below(directory):
    """Finds a file below a directory that it may open for writing."""
    for base, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(base, name)
            try:
                if stat.S_ISREG(os.lstat(path).st_mode):
                    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                    return
            except OSError:
                pass
    raise Refused("NONE")


def see_socket_file(directory):
    """Finds a Unix socket that somebody listens on, such as a container runtime's."""
    for base, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if os.path.join(base, name) not in ("/proc", "/sys", "/usr")]
        for name in names:
            try:
                if stat.S_ISSOCK(os.lstat(os.path.join(base, name)).st_mode):
                    return
            except OSError:
                pass
    raise Refused("NONE")


def hold_in_memory():
    """Locks memory beyond its limit."""
    LIBC.mlockall.restype = ctypes.c_int
    if LIBC.mlockall(2) != 0:
        raise OSError(ctypes.get_errno(), "mlockall")
    size = 64 * 1024 * 1024
    import mmap

    try:
        mmap.mmap(-1, size).close()
    finally:
        LIBC.munlockall()


def main():
    name, *arguments = sys.argv[1:]
    attack = globals()[name.replace("-", "_")]
    try:
        attack(*arguments)
    except Refused as refusal:
        print("refused", name, refusal)
        return 10
    except OSError as error:
        print("refused", name, errno.errorcode.get(error.errno, "UNKNOWN"))
        return 10
    print("succeeded")
    return 0


sys.exit(main())

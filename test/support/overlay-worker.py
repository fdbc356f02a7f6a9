# Works on overlays in a mount namespace of its own: requests and answers are lines of JSON, names have one character a
# byte. See ply-model.ts.
import ctypes, hashlib, json, os, stat, sys

libc = ctypes.CDLL(None, use_errno=True)
KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo", stat.S_IFSOCK: "socket",
}


def mount(lower, upper, work, at):
    options = f"lowerdir={':'.join(reversed(lower))},upperdir={upper},workdir={work}".encode()
    if libc.mount(b"plybox-test", at.encode(), b"overlay", 0, options) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def unmount(at):
    if libc.umount2(at.encode(), 0) != 0:
        raise OSError(ctypes.get_errno(), "umount")


def write(path, flags, offset, byte, count):
    fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | flags, 0o644)
    if offset is not None:
        os.lseek(fd, offset, os.SEEK_SET)
    os.write(fd, bytes([byte]) * count)
    os.close(fd)


OPERATIONS = {
    "write": lambda p, byte, count: write(p, os.O_CREAT | os.O_TRUNC, None, byte, count),
    "append": lambda p, byte, count: write(p, os.O_APPEND, None, byte, count),
    "writeAt": lambda p, offset, byte, count: write(p, 0, offset, byte, count),
    "truncate": lambda p, size: os.truncate(p, size),
    "mkdir": lambda p: os.mkdir(p, 0o755),
    "rmdir": os.rmdir,
    "unlink": os.unlink,
    "rename": os.rename,
    "link": lambda p, to: os.link(p, to, follow_symlinks=False),
    "symlink": lambda p, target: os.symlink(target, p),
    "chmod": os.chmod,
    "chown": lambda p, uid, gid: os.chown(p, uid, gid, follow_symlinks=False),
    "setAttribute": lambda p, name, value: os.setxattr(p, name, value, follow_symlinks=False),
    "removeAttribute": lambda p, name: os.removexattr(p, name, follow_symlinks=False),
    "mkfifo": lambda p: os.mknod(p, stat.S_IFIFO | 0o644),
    "mksocket": lambda p: os.mknod(p, stat.S_IFSOCK | 0o644),
}


def operate(operations):
    """For each whether it could be done."""
    done = []
    for name, *arguments in operations:
        try:
            OPERATIONS[name](*(a.encode("latin1") if isinstance(a, str) else a for a in arguments))
            done.append(True)
        except OSError:
            done.append(False)
    return done


def describe(path, status):
    kind = KINDS[stat.S_IFMT(status.st_mode)]
    content = ""
    if kind == "file":
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
    if kind == "symlink":
        content = os.readlink(path).decode("latin1")
    attributes = [
        [name, os.getxattr(path, name, follow_symlinks=False).decode("latin1")]
        for name in sorted(os.listxattr(path, follow_symlinks=False))
    ]
    return [kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, content, attributes]


def scan(directory, prefix=b""):
    """All below, with which names are one file, in the order of the names."""
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        status = os.lstat(path)
        inode = None if stat.S_ISDIR(status.st_mode) else f"{status.st_dev}:{status.st_ino}"
        yield [(prefix + name).decode("latin1"), describe(path, status), inode]
        if stat.S_ISDIR(status.st_mode):
            yield from scan(path, prefix + name + b"/")


def serve(request):
    kind = request["do"]
    if kind == "mount":
        return mount(request["lower"], request["upper"], request["work"], request["at"])
    if kind == "unmount":
        return unmount(request["at"])
    if kind == "operate":
        os.chdir(request["at"])
        done = operate(request["operations"])
        os.chdir("/")
        return done
    return list(scan(request["at"].encode()))


os.umask(0)
for line in sys.stdin:
    try:
        answer = {"ok": serve(json.loads(line))}
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)

"""Prints the hash of all that a file system knows of a tree: names, types, modes, owners, devices, sizes, bytes, targets, times to
the nanosecond, every extended attribute with ACLs, and which names are one file. To be run as root."""
import hashlib, os, stat, sys


def facts(path, firsts):
    status = os.lstat(path)
    yield (status.st_mode, status.st_uid, status.st_gid, status.st_rdev, status.st_mtime_ns)
    if not stat.S_ISDIR(status.st_mode):
        yield (status.st_nlink, firsts.setdefault(status.st_ino, path))
    for name in sorted(os.listxattr(path, follow_symlinks=False)):
        yield (name, os.getxattr(path, name, follow_symlinks=False))
    if stat.S_ISLNK(status.st_mode):
        yield os.readlink(path)
    if stat.S_ISREG(status.st_mode):
        yield status.st_size
        with open(path, "rb") as file:
            yield hashlib.sha256(file.read()).hexdigest()


def walk(path):
    yield path
    if stat.S_ISDIR(os.lstat(path).st_mode):
        for name in sorted(os.listdir(path)):
            yield from walk(os.path.join(path, name))


os.chdir(sys.argv[1])
firsts, digest = {}, hashlib.sha256()
for path in walk(b"."):
    digest.update(repr((path, list(facts(path, firsts)))).encode())
print(digest.hexdigest())

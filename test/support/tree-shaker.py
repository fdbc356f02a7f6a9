"""Changes a tree at random in every way that a file system can: SEED, COUNT and a directory. The same seed on the same tree
does the same. To be run as root."""
import os, random, shutil, socket, stat, struct, sys

seed, count, root = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
chance = random.Random(seed)
os.chdir(root)
NAMES = [b"a", b"b", b"c d", b"\xff\n", "é".encode()]
IDS = [0, 5, 1000, 65535]


def found():
    directories, others = [b"."], []
    for path, names, files in os.walk(b"."):
        directories += sorted(os.path.join(path, name) for name in names if not os.path.islink(os.path.join(path, name)))
        others += sorted(os.path.join(path, name) for name in files + names if not stat.S_ISDIR(os.lstat(os.path.join(path, name)).st_mode))
    return sorted(directories), sorted(others)


def write(path):
    with open(path, "r+b" if os.path.exists(path) else "wb") as file:
        file.seek(chance.choice([0, 0, 5000, 70_000, 1 << 20]))
        file.write(bytes([chance.randrange(4)]) * chance.choice([1, 100, 5000, 200_000]))
        if chance.random() < 0.2:
            file.truncate(chance.choice([0, 10, 300_000]))


def bind(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)


def acl(path):
    entries = [(1, 6, 0xFFFFFFFF), (2, 4, chance.choice(IDS)), (4, 4, 0xFFFFFFFF), (16, 4, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF)]
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries))


def attribute(path):
    name = chance.choice(["user.one", "trusted.two", "trusted.overlay.opaque", "trusted.overlay.origin", "security.three"])
    os.setxattr(path, name, bytes([chance.randrange(256) for _ in range(chance.choice([1, 30, 2000]))]))


MAKE = [
    (6, write),
    (3, os.mkdir),
    (1, lambda path: os.symlink(chance.choice([b"/nowhere", b"../\xff"]), path)),
    (1, os.mkfifo),
    (1, bind),
    (1, lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(0, 0))),
    (1, lambda path: os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 1))),
]


def step():
    directories, others = found()
    some = chance.choice(directories + others)
    fresh = os.path.join(chance.choice(directories), chance.choice(NAMES))
    kind = chance.randrange(12)
    if kind < 5 and not os.path.lexists(fresh):
        chance.choices([make for _, make in MAKE], [weight for weight, _ in MAKE])[0](fresh)
    elif kind == 5 and os.path.isfile(some) and not os.path.islink(some):
        write(some)
    elif kind == 6 and some in others and not os.path.lexists(fresh):
        os.link(some, fresh, follow_symlinks=False)
    elif kind == 7 and some != b"." and not os.path.lexists(fresh) and not fresh.startswith(some + b"/"):
        os.rename(some, fresh)
    elif kind == 8 and some != b".":
        shutil.rmtree(some) if some in directories else os.remove(some)
    elif kind == 9:
        os.lchown(some, chance.choice(IDS), chance.choice(IDS))
        if not os.path.islink(some):
            os.chmod(some, chance.choice([0o600, 0o755, 0o4711, 0o2775, 0o1777]))
    elif kind == 10:
        os.utime(some, ns=(0, chance.choice([0, 1_000_000_000_123_456_789, 1_700_000_000_000_000_001])), follow_symlinks=False)
    elif kind == 11 and (some in directories or (os.path.isfile(some) and not os.path.islink(some))):
        chance.choice([attribute, attribute, acl])(some)


for _ in range(count):
    step()

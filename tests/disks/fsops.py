#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""fsops.py TREE ORACLE SEED COUNT - random calls on two directories, which must answer alike

ORACLE is on a file system of the host's. Run in the guest. Prints the first difference
and fails, or "same".
"""
import contextlib
import ctypes
import errno
import mmap
import os
import random
import stat
import sys

RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
libc = ctypes.CDLL(None, use_errno=True)


def checked(result):
    """What a call of libc's returned; an error is raised."""
    if result < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))
    return result


@contextlib.contextmanager
def opened(path, flags):
    """A descriptor; a FIFO is opened without waiting for its other end."""
    fd = os.open(path, flags | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


def renameat2(old, new, flags):
    checked(libc.renameat2(-100, old.encode(), -100, new.encode(), flags))


def write(path, offset, data):
    with opened(path, os.O_RDWR) as fd:
        return os.pwrite(fd, data, offset)


def read(path, offset, size):
    with opened(path, os.O_RDONLY) as fd:
        return os.pread(fd, size, offset)


def create(path, mode):
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def fallocate(path, mode, offset, size):
    with opened(path, os.O_RDWR) as fd:
        checked(libc.fallocate(fd, mode, ctypes.c_long(offset), ctypes.c_long(size)))


def mapped(path, offset, data):
    size = os.stat(path).st_size
    if size == 0:
        return None
    with opened(path, os.O_RDWR) as fd, mmap.mmap(fd, size) as m:
        at = offset % size
        n = min(len(data), size - at)
        m[at:at + n] = data[:n]
        return bytes(m[:16])


def fsync(path):
    with opened(path, os.O_RDONLY) as fd:
        os.fsync(fd)


class Held:
    """Files that stay open, whatever becomes of their names."""

    def __init__(self):
        self.fd = []

    def open(self, path):
        if len(self.fd) >= 8:
            os.close(self.fd.pop(0))
        self.fd.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))

    def use(self, n, offset, data):
        if not self.fd:
            return None
        fd = self.fd[n % len(self.fd)]
        os.pwrite(fd, data, offset)
        return os.pread(fd, len(data) + 100, max(0, offset - 50))

    def close(self):
        for fd in self.fd:
            os.close(fd)
        self.fd = []


class Model:
    def __init__(self, rand):
        self.r = rand
        self.files, self.dirs = [], [""]

    def name(self):
        d = self.r.choice(self.dirs)
        n = f"n{self.r.randrange(60)}" + "x" * self.r.choice((0, 0, 3, 40, 200))
        return d + "/" + n

    def some(self):
        return self.r.choice(self.files) if self.files and self.r.random() < 0.9 else self.name()

    def place(self):
        return self.r.choice((0, self.r.randrange(5000), self.r.randrange(300_000), self.r.randrange(3_000_000)))

    def data(self):
        return self.r.randbytes(self.r.choice((1, 10, 500, 4096, 10_000, 70_000)))


def operation(m):
    """A call, as a function of the directory it is made in."""
    r, a, b = m.r, m.some(), m.name()
    d = r.choice(m.dirs)
    offset, size = m.place(), r.choice((1, 1000, 4096, 50_000, 400_000))
    data, mode = m.data(), r.choice((0o644, 0o600, 0o755, 0o4711))
    ns, n = r.randrange(1, 4 * 10**18), r.randrange(100)
    key, value = f"user.k{r.randrange(6)}", r.randbytes(r.choice((0, 5, 40, 300)))
    target = r.choice(("x", "y" * 59, "y" * 60, "z" * 900))
    table = [
        (6, "create", lambda t, h: create(t + b, mode)),
        (3, "mkdir", lambda t, h: os.mkdir(t + b, 0o755)),
        (2, "symlink", lambda t, h: os.symlink(target, t + b)),
        (2, "readlink", lambda t, h: os.readlink(t + a)),
        (2, "mkfifo", lambda t, h: os.mkfifo(t + b)),
        (10, "write", lambda t, h: write(t + a, offset, data)),
        (4, "read", lambda t, h: read(t + a, offset, size)),
        (2, "mapped", lambda t, h: mapped(t + a, offset, data)),
        (4, "truncate", lambda t, h: os.truncate(t + a, offset)),
        (2, "punch", lambda t, h: fallocate(t + a, 3, offset, size)),
        (2, "reserve", lambda t, h: fallocate(t + a, n % 2, offset, size)),
        (3, "link", lambda t, h: os.link(t + a, t + b, follow_symlinks=False)),
        (4, "unlink", lambda t, h: os.unlink(t + a)),
        (2, "rmdir", lambda t, h: os.rmdir(t + d) if d else None),
        (4, "rename", lambda t, h: os.rename(t + a, t + b)),
        (1, "renamedir", lambda t, h: os.rename(t + d, t + b) if d else None),
        (1, "noreplace", lambda t, h: renameat2(t + a, t + m.files[n % len(m.files)], RENAME_NOREPLACE) if m.files else None),
        (1, "exchange", lambda t, h: renameat2(t + a, t + m.files[n % len(m.files)], RENAME_EXCHANGE) if m.files else None),
        (2, "chmod", lambda t, h: os.chmod(t + a, mode)),
        (2, "chown", lambda t, h: os.chown(t + a, n, n + 1, follow_symlinks=False)),
        (2, "utime", lambda t, h: os.utime(t + a, ns=(ns, ns + 1), follow_symlinks=False)),
        (2, "setxattr", lambda t, h: os.setxattr(t + a, key, value, follow_symlinks=False)),
        (1, "removexattr", lambda t, h: os.removexattr(t + a, key, follow_symlinks=False)),
        (1, "fsync", lambda t, h: fsync(t + a)),
        (2, "hold", lambda t, h: h.open(t + a)),
        (3, "use", lambda t, h: h.use(n, offset % 100_000, data)),
        (2, "list", lambda t, h: sorted(os.listdir(t + d))),
    ]
    _, name, call = r.choices(table, [w for w, *_ in table])[0]
    return f"{name} {a} {b} {d} {offset} {len(data)} {size}", call


def guarded(call, tree, held):
    try:
        return "value", call(tree, held)
    except OSError as e:
        return "error", errno.errorcode.get(e.errno, e.errno)


def walk(tree):
    files, dirs = [], [""]
    for where, ds, fs in os.walk(tree):
        rel = where[len(tree):]
        dirs += [rel + "/" + d for d in ds if not os.path.islink(where + "/" + d)]
        files += [rel + "/" + f for f in fs] + [rel + "/" + d for d in ds if os.path.islink(where + "/" + d)]
    return sorted(files), sorted(dirs)


def describe(path):
    st = os.lstat(path)
    facts = [oct(st.st_mode), st.st_uid, st.st_gid]
    if not stat.S_ISDIR(st.st_mode):
        facts += [st.st_size, st.st_nlink]
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as f:
            facts.append(hash(f.read()))
    if stat.S_ISLNK(st.st_mode):
        facts.append(os.readlink(path))
    if not stat.S_ISFIFO(st.st_mode):
        facts.append(sorted((k, os.getxattr(path, k, follow_symlinks=False))
                            for k in os.listxattr(path, follow_symlinks=False) if k.startswith("user.k")))
    return facts


def compare(tree, oracle):
    one, two = walk(tree), walk(oracle)
    if one != two:
        return f"names: {sorted(set(one[0]) ^ set(two[0]))[:5]} {sorted(set(one[1]) ^ set(two[1]))[:5]}"
    for name in one[0] + one[1][1:]:
        a, b = describe(tree + name), describe(oracle + name)
        if a != b:
            return f"{name}: {a} against {b}"
    return None


def main():
    tree, oracle, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    m = Model(random.Random(seed))
    held = Held(), Held()
    os.umask(0o022)
    for k in range(count):
        if k % 40 == 0:
            m.files, m.dirs = walk(oracle)
        name, call = operation(m)
        ours = guarded(call, tree, held[0])
        # Files without extents cannot have blocks that were never written; but the host
        # has taken a set-id bit from the file before it asked for them.
        if name.startswith("reserve") and ours == ("error", "ENOTSUP"):
            path = name.split()[1]
            os.chmod(tree + path, stat.S_IMODE(os.stat(oracle + path).st_mode))
            continue
        theirs = guarded(call, oracle, held[1])
        if ours != theirs:
            print(f"call {k}: {name}: {str(ours)[:100]} against {str(theirs)[:100]}")
            return 1
    for h in held:
        h.close()
    difference = compare(tree, oracle)
    print(difference or "same")
    return difference is not None


sys.exit(main())

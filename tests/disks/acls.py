#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""acls.py TREE ORACLE SEED COUNT - lists of access rights on two directories, which must agree

ORACLE is on a file system of the host's. Run in the guest, as its root. Random calls, and
whom they let do what; prints the first difference and fails, or "same".
acls.py --list TREE prints what each file has.
"""
import errno
import os
import random
import stat
import struct
import sys

USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 1, 2, 4, 8, 16, 32
NAMES = {"access": "system.posix_acl_access", "default": "system.posix_acl_default"}
IDS = [int(x) for x in os.environ.get("IDS", "1 2 3").split()]


def pack(entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries)


def some_list(r):
    """Mostly a good one."""
    none = 0xffffffff
    users, groups = (sorted(r.sample(IDS, r.randrange(len(IDS) + 1))) for _ in range(2))
    e = [(USER_OBJ, r.randrange(8), none)] + [(USER, r.randrange(8), i) for i in users]
    e += [(GROUP_OBJ, r.randrange(8), none)] + [(GROUP, r.randrange(8), i) for i in groups]
    if users or groups or r.random() < 0.3:
        e.append((MASK, r.randrange(8), none))
    e.append((OTHER, r.randrange(8), none))
    if r.random() < 0.1:
        del e[r.randrange(len(e))]
    return pack(e)


def described(path):
    st = os.lstat(path)
    lists = []
    for kind, name in sorted(NAMES.items()):
        try:
            lists.append(kind + " " + os.getxattr(path, name, follow_symlinks=False).hex())
        except OSError as e:
            lists.append(kind + " " + errno.errorcode[e.errno])
    return f"{oct(st.st_mode)} {st.st_uid} {st.st_gid} {lists}"


def walk(tree):
    yield tree
    for where, dirs, files in os.walk(tree):
        dirs.sort()
        for name in sorted(dirs + files):
            yield os.path.join(where, name)


def as_user(uid, gid, function):
    """What it says when another user runs it."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            said = function()
        except OSError as e:
            said = errno.errorcode[e.errno]
        os.write(w, str(said).encode())
        os._exit(0)
    os.close(w)
    with os.fdopen(r, "rb") as f:
        said = f.read().decode()
    os.waitpid(pid, 0)
    return said


def may(path):
    return [os.access(path, how, effective_ids=True) for how in (os.R_OK, os.W_OK, os.X_OK)]


def make(path, kind, mode, umask):
    os.umask(umask)
    if kind == "dir":
        os.mkdir(path, mode)
    elif kind == "link":
        os.symlink("nowhere", path)
    elif kind == "fifo":
        os.mkfifo(path, mode)
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))


def operation(r, dirs, all_):
    a, mode, umask = r.choice(all_), r.randrange(0o1000), r.choice((0o022, 0o077, 0))
    new = r.choice(dirs) + f"/n{r.randrange(80)}"
    what = r.choice(("file", "dir", "link", "fifo"))
    kind, value = r.choice(tuple(NAMES)), some_list(r)
    uid, gid = r.choice(IDS), r.choice(IDS)

    def set_list(t):
        os.setxattr(t + a, NAMES[kind], value, follow_symlinks=False)

    def remove_list(t):
        os.removexattr(t + a, NAMES[kind], follow_symlinks=False)

    def change_mode(t):
        if not stat.S_ISLNK(os.lstat(t + a).st_mode):
            os.chmod(t + a, mode)

    def change_owner(t):
        os.chown(t + a, uid, gid, follow_symlinks=False)

    def create(t):
        make(t + new, what, mode, umask)
        return new, what

    def create_as(t):
        return as_user(uid, gid, lambda: make(t + new, "file", 0o666, umask))

    def allowed(t):
        return as_user(uid, gid, lambda: may(t + a))

    def names(t):
        return sorted(x for x in os.listxattr(t + a, follow_symlinks=False) if x.startswith("system."))

    return r.choice((set_list, set_list, set_list, remove_list, change_mode, change_mode, change_owner, create, create,
                     create, create_as, allowed, allowed, names)), (a, new, kind, value.hex(), oct(mode), uid, gid)


def answer(function, tree):
    try:
        return function(tree)
    except OSError as e:
        return errno.errorcode[e.errno]


def main():
    if sys.argv[1] == "--list":
        for path in walk(sys.argv[2]):
            print(path[len(sys.argv[2]):], described(path))
        return
    tree, oracle, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    r, dirs, all_ = random.Random(seed), [""], [""]
    for t in (tree, oracle):
        os.chmod(t, 0o755)
    for i in range(count):
        f, what = operation(r, dirs, all_)
        got, want = answer(f, tree), answer(f, oracle)
        if got != want:
            sys.exit(f"call {i}: {f.__name__} {what}: {got} against {want}")
        for new in {what[1]} - set(all_):
            if os.path.lexists(oracle + new):
                all_.append(new)
                if isinstance(want, tuple) and want[1] == "dir":
                    dirs.append(new)
        for path in (what[0], what[1]):
            if os.path.lexists(oracle + path) and described(tree + path) != described(oracle + path):
                sys.exit(f"call {i}: {f.__name__} {what}: {path} is {described(tree + path)} and not "
                         f"{described(oracle + path)}")
    print("same")


main()

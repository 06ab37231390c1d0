# SPDX-License-Identifier: Apache-2.0
"""blockfs.py - ext2, ext3 and ext4 on a guest's disks

The judges are a file system of the host's, which gets the same calls (fsops.py), and
e2fsck, which must find nothing after each test.
"""

import glob
import os
import random
import re
import shutil
import time

from disk_ext import KINDS, check, have, image
from disk_guests import ALL, disk, read
from harness import Skipped, test

HERE = os.path.dirname(os.path.abspath(__file__))


def program(case):
    to = os.path.join(case.directory(), "fsops.py")
    shutil.copy(os.path.join(HERE, "fsops.py"), to)
    return "PYTHONHASHSEED=0 python3 " + to


MOUNT = "mkdir -p /tmp/m /tmp/o; mount -t tmpfs none /tmp/o; mount -t ubd /dev/ubd0 /tmp/m\n"


def answers_alike(case, kind, seed, count):
    guests = have(case)
    path = image(case, kind)
    r = guests.run({"0.image": path}, MOUNT + f"mkdir /tmp/m/t; {program(case)} /tmp/m/t /tmp/o {seed} {count}\n"
                   "umount /tmp/m; mount -t ubd -o ro /dev/ubd0 /tmp/m\n"
                   "diff -r --no-dereference /tmp/m/t /tmp/o 2>&1 | grep -v fifo || echo alike")
    case.equal("calls", r.out.splitlines(), ["same", "alike"])
    check(case, path)


@test("disks", users=ALL)
def blockfs_answers_as_the_hosts_file_systems(case):
    answers_alike(case, "ext4", 11, 400)


@test("disks")
def blockfs_of_all_kinds(case):
    for seed, kind in enumerate(KINDS):
        answers_alike(case, kind, seed, 250)


def acls(case, kind, seed, count):
    guests = have(case)
    path, script = image(case, kind), os.path.join(case.directory(), "acls.py")
    shutil.copy(os.path.join(HERE, "acls.py"), script)
    ids = "0 0 0" if case.user.kind == "single" else "1 2 3"
    r = guests.run({"0.image": path}, MOUNT + f"mkdir /tmp/m/t /tmp/o/t; export IDS='{ids}' PYTHONHASHSEED=0\n"
                   f"python3 {script} /tmp/m/t /tmp/o/t {seed} {count}; umount /tmp/m; mount -t ubd -o ro /dev/ubd0 /tmp/m\n"
                   f"python3 {script} --list /tmp/m/t >/tmp/a; python3 {script} --list /tmp/o/t >/tmp/b; cmp /tmp/a /tmp/b\n"
                   "cat /tmp/a")
    case.equal("calls", r.out.splitlines()[0], "same")
    check(case, path)
    return path, script, r.out.split("\n", 1)[1]


@test("disks", users=("root", "user"))
def blockfs_acls(case):
    """Lists of access rights: made, inherited, obeyed, as on a file system of the host's."""
    for seed, kind in enumerate(KINDS):
        acls(case, kind, seed, 250)


@test("disks", users=("root",))
def blockfs_acls_are_ext4s(case):
    """The host's ext4 finds in them what the guest has made."""
    for seed, kind in enumerate(("ext4", "ext3")):
        path, script, listed = acls(case, kind, 50 + seed, 250)
        place = case.directory()
        r = case.command(["unshare", "-m", "sh", "-c", f"mount -o loop,ro -t ext4 {path} {place} || exit 77\n"
                          f"exec python3 {script} --list {place}/t"])
        if r.status == 77:
            raise Skipped("the host mounts no ext4 by a loop device: " + r.err)
        case.equal("what the host finds", case.status(r, 0).out, listed)


@test("disks", users=ALL)
def blockfs_errors(case):
    """As mount(2) has them."""
    guests = have(case)
    path, bad = image(case, "ext4", "8M"), os.path.join(case.directory(), "bad")
    disk(case, "create", "--size", "1M", bad)
    r = guests.run({"0.image": path, "1.image": bad, "2.image": image(case, "ext4", "8M", "ro"), "2.readonly": "yes"}, """
        cat >/tmp/p <<'E'
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
def mount(source, kind, flags=0, data=None, target=b"/tmp/m"):
    r = libc.mount(source, target, kind, flags, data)
    print("ok" if r == 0 else errno.errorcode[ctypes.get_errno()])
mount(b"/dev/ubd1", b"ext4")
mount(b"/dev/ubd0", b"ext2")
mount(b"/dev/null", b"ext4")
mount(b"/tmp/p", b"ext4")
mount(b"/dev/ubd9", b"ext4")
mount(b"/dev/ubd0", b"ext4", 0, b"nonsense")
mount(b"/dev/ubd0", b"ext4", 0, None, b"/tmp/nothing")
mount(b"/dev/ubd2", b"ext4")
mount(b"/dev/ubd0", b"ext4", 0, b"errors=remount-ro")
mount(b"/dev/ubd0", b"ext4")
mount(b"/dev/ubd2", b"ext4", 1, None, b"/tmp/o")
E
        mkdir -p /tmp/m /tmp/o; python3 /tmp/p
        touch /tmp/m/a; touch /tmp/o/a 2>&1 | grep -o 'Read-only file system'
        umount /tmp/m; mount -t ubd /dev/ubd0 /tmp/m; ls -A /tmp/m | grep -vx lost+found""")
    case.equal("answers", r.out.split("\n")[:-1],
               ["EINVAL", "EINVAL", "ENOTBLK", "ENOTBLK", "ENOENT", "EINVAL", "ENOENT", "EROFS", "ok", "EBUSY", "ok",
                "Read-only file system", "a"])
    check(case, path)


@test("disks")
def blockfs_large_writes(case):
    """Of a mebibyte, from wherever in memory."""
    guests = have(case)
    path = image(case, "ext4")
    r = guests.run({"0.image": path}, MOUNT + "dd if=/dev/urandom of=/tmp/o/a bs=1M count=20 2>/dev/null\n"
                   "dd if=/tmp/o/a of=/tmp/m/a bs=1M conv=fsync 2>/dev/null; umount /tmp/m; mount -t ubd /dev/ubd0 /tmp/m\n"
                   "cmp /tmp/o/a /tmp/m/a && echo same; umount /tmp/m")
    case.equal("the file", r.out, "same\n")
    check(case, path)


@test("disks", users=("root", "user"))
def blockfs_without_attributes(case):
    """Of which a file system knows nothing: files are made, changed and refused as on any other."""
    guests = have(case)
    for kind, more in (("ext4", ("-O", "^ext_attr")), ("ext2", ("-r", "0", "-O", "none"))):
        path = image(case, kind, more=more)
        r = guests.run({"0.image": path}, MOUNT + """chmod 755 /tmp/m; cd /tmp/m; touch a; mkdir d; echo in >d/b; chmod 640 a; chmod 700 d
            stat -c '%n %a' a d; cat d/b
            other='setpriv --reuid 1 --regid 1 --clear-groups'
            $other cat a 2>&1 | grep -o 'Permission denied'; $other ls d 2>&1 | grep -o 'Permission denied'
            chmod 644 a; $other cat a && echo read
            python3 -c '
import errno, os
print(os.listxattr("a"))
try:
    os.setxattr("a", "user.key", b"value")
except OSError as e:
    print(errno.errorcode[e.errno])'
            cd /; umount /tmp/m""")
        case.equal(kind, r.out.splitlines(), ["a 640", "d 700", "in", "Permission denied", "Permission denied", "read",
                                              "[]", "ENOTSUP"])
        check(case, path)


@test("disks")
def blockfs_full(case):
    """No space is said in time to be heard, and all of it comes back."""
    guests = have(case)
    path = image(case, "ext4", "16M")
    r = guests.run({"0.image": path}, MOUNT +
                   "free=$(stat -fc %f /tmp/m); dd if=/dev/zero of=/tmp/m/big bs=64k conv=fsync 2>&1 | grep -o 'No space left' | head -1\n"
                   "rm /tmp/m/big; dd if=/dev/zero of=/tmp/m/again bs=64k count=100 conv=fsync 2>/dev/null; rm /tmp/m/again\n"
                   "umount /tmp/m; mount -t ubd /dev/ubd0 /tmp/m; [ $(stat -fc %f /tmp/m) = $free ] && echo back; umount /tmp/m")
    case.equal("answers", r.out.split("\n")[:-1], ["No space left", "back"])
    check(case, path)


@test("disks")
def blockfs_survives_a_kill(case):
    """The guest kernel is killed at any moment: what was synced is there, and the journal,
    replayed by e2fsck or by the next mount, leaves nothing to repair."""
    guests = have(case)
    r = random.Random(5)
    for kind in ("ext4", "ext4 with blocks of 1 KiB", "ext3"):
        path = image(case, kind)
        p = guests.start({"0.image": path}, MOUNT +
                         "mkdir /tmp/m/t; echo kept >/tmp/m/kept; sync /tmp/m/kept; echo ready\n"
                         f"i=1; while :; do {program(case)} /tmp/m/t /tmp/o $i 60 >/dev/null || exit 1\n"
                         "sync /tmp/m/kept; i=$((i + 1)); done")
        facts = case.stats(p.guest)
        time.sleep(r.random() * 2)
        os.kill(facts["guest"]["kernel_pid"], 9)
        p.wait(60)
        again = path + ".again"
        shutil.copy(path, again)
        case.owned(again)
        s = case.command(["/sbin/e2fsck", "-p", path])
        case.true(f"e2fsck -p: {s.status} {s.out}", s.status in (0, 1))
        check(case, path)
        out = guests.run({"0.image": again}, MOUNT + "cat /tmp/m/kept; umount /tmp/m").out
        case.equal("what was synced", out, "kept\n")
        check(case, again)


@test("disks")
def blockfs_on_a_cow_disk(case):
    """Of blocks of 1 KiB, which are smaller than a page: base and what was written over it
    make a whole file system, and the base stays as it was."""
    guests = have(case)
    base = image(case, "ext4 with blocks of 1 KiB")
    before, cow, merged = read(base), base + ".cow", base + ".merged"
    disk(case, "create", "--backing", base, cow)
    for seed in range(3):
        r = guests.run({"0.image": base, "0.cow": cow}, MOUNT + f"mkdir -p /tmp/m/t{seed}\n"
                       f"{program(case)} /tmp/m/t{seed} /tmp/o {70 + seed} 250\n"
                       "umount /tmp/m; mount -t ubd -o ro /dev/ubd0 /tmp/m\n"
                       f"diff -r --no-dereference /tmp/m/t{seed} /tmp/o 2>&1 | grep -v fifo || echo alike")
        case.equal("calls", r.out.splitlines(), ["same", "alike"])
        disk(case, "merge", "--force", cow, merged)
        check(case, merged)
    case.true("the base was written", read(base) == before)


# What there is in a file system, by debugfs: its blocks.
PARTS = {
    "super block": None,
    "group descriptors": "Group descriptors at ([0-9]+)",
    "block bitmap": "block bitmap at ([0-9]+)",
    "inode bitmap": "inode bitmap at ([0-9]+)",
    "inode table": "inode table at ([0-9]+)",
    "directory": ("/t", 0),
    "an index's root": ("/many", 0),
    "a leaf of an index": ("/many", 3),
    "extents": ("/extents", None),
    "journal": ("<8>", 0),
    "a transaction": ("<8>", 1),
}


def places(case, path, size):
    """Of each part, its first block."""
    def debugfs(request):
        return case.command(["/sbin/debugfs", "-R", request, path]).out

    stats, found = debugfs("stats"), {}
    for name, what in PARTS.items():
        if what is None:
            found[name] = 1024 // size
        elif isinstance(what, str):
            m = re.search(what, stats)
            found[name] = int(m[1]) if m else 1024 // size + 1
        elif what[1] is None:
            m = re.search(r"\(ETB\d+\):(\d+)|\(IND\):(\d+)", debugfs("stat " + what[0]))
            found[name] = int(m[1] or m[2]) if m else None
        else:
            m = re.search(r"\d+", debugfs(f"bmap {what[0]} {what[1]}"))
            found[name] = int(m[0]) if m else None
    return {name: at for name, at in found.items() if at}


def damage(path, at, size, seed):
    r = random.Random(seed)
    with open(path, "r+b") as f:
        for _ in range(r.choice((1, 2, 5, 30))):
            f.seek(at * size + r.choice((r.randrange(size), r.randrange(64), r.randrange(256))))
            f.write(bytes(r.choice((0, 1, 255, r.randrange(256))) for _ in range(r.choice((1, 1, 2, 4)))))


HOSTILE = """
    set +e; mkdir -p /tmp/m; exec 3>&1; for k in $DISKS; do
    mount -t ubd /dev/ubd$k /tmp/m || mount -t ubd -o ro /dev/ubd$k /tmp/m || continue
    find /tmp/m -xdev -type f -exec cat {} + >/dev/null; find /tmp/m -xdev -exec stat {} + >/dev/null
    mkdir /tmp/m/new; cp /bin/true /tmp/m/new/; cp /bin/true /tmp/m/many/; rm -rf /tmp/m/t/n1* /tmp/m/many/n1*
    mv /tmp/m/t/n2* /tmp/m/many/n2* /tmp/m/new/; dd if=/dev/zero of=/tmp/m/extents bs=1k seek=77 count=3 conv=notrunc
    truncate -s 5000 /tmp/m/extents; mkfifo /tmp/m/t/fifo; ln -s /x /tmp/m/many/link; rm -rf /tmp/m/t; sync /tmp/m/new
    LC_ALL=C stat /tmp/m 2>&1 | grep -q 'not connected' && echo "disk $k: crashed" >&3
    cd /; umount /tmp/m || umount -l /tmp/m; done 2>/dev/null >/dev/null; echo alive"""

FILL = """
    mkdir /tmp/m/many /tmp/m/t; cd /tmp/m/many; for i in $(seq 200); do : >n$i-of-a-name-that-is-long-so-that-there-are-many-blocks; done
    cd /tmp; for i in $(seq 40); do dd if=/dev/urandom of=/tmp/m/extents bs=1k count=2 seek=$((i * 10)) conv=notrunc; done 2>/dev/null
"""


@test("disks", users=("root", "user"))
def blockfs_hostile(case):
    """A damaged file system is an error in the guest, which goes on; without checksums, which
    would find any damage, too. Who serves it neither crashes nor hangs."""
    guests = have(case)
    for kind in ("ext4 with large inodes and no checksums", "ext4", "ext3 with blocks of 1 KiB and no checksums"):
        good = image(case, kind, "8M", "good")
        guests.run({"0.image": good}, MOUNT + FILL + f"{program(case)} /tmp/m/t /tmp/o 3 200; umount /tmp/m")
        case.command(["/sbin/e2fsck", "-fyD", good])
        size = int(re.search(r"Block size:\s+(\d+)", case.command(["/sbin/dumpe2fs", "-h", good]).out)[1])
        disks = {}
        for k, (_, at) in enumerate(sorted(places(case, good, size).items())):
            path = f"{good}.{k}"
            shutil.copy(good, path)
            damage(path, at, size, k)
            disks[f"{k}.image"] = case.owned(path)
        numbers = " ".join(key.split(".")[0] for key in disks)
        r = guests.run(disks, f"DISKS='{numbers}'" + HOSTILE, timeout=180)
        case.equal("the guest", r.out, "alive\n")
        case.true("a server hung or crashed: " + r.err, "does not answer" not in r.err and "Sanitizer" not in r.err)
        for path in glob.glob(good + "*"):
            os.unlink(path)

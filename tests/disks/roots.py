# SPDX-License-Identifier: Apache-2.0
"""roots.py - guests whose root is a file system on a disk: weir run -r disk:N"""

import os
import signal

import harness
from disk_ext import KINDS, check, have, image
from disk_guests import ALL, SHELL, disk, gone, one, read, tell, tree
from harness import need, test

ROOT = ("-r", "disk:0")

def root_image(case, size="48M", name="root.img"):
    guests = have(case)
    path = os.path.join(case.directory(), name)
    disk(case, "create", "--force", "--from", tree(case), "--size", size, path)
    return guests, case.owned(path)


def run(guests, path, script, options=(), disks=None, root="disk:0"):
    return guests.run({"0.image": path, **(disks or {})}, script, options=("-r", root, *options))


@test("disks", users=ALL)
def root_on_a_disk(case):
    """It is / and says so, what is written is there in the next guest, and e2fsck finds it clean."""
    guests, path = root_image(case)
    r = run(guests, path, "grep -o '^/dev/ubd0 / fuse.ext4 rw' /proc/mounts; id -u; echo 1 >/srv/a; mkdir -p /srv/b/c; "
            "df / | grep -c ubd0; [ -d /proc/self ] && echo proc; ls /dev/ubd0")
    case.equal("answers", r.out.splitlines(), ["/dev/ubd0 / fuse.ext4 rw", "0", "1", "proc", "/dev/ubd0"])
    check(case, path)
    case.equal("again", run(guests, path, "cat /srv/a; ls -d /srv/b/c").out, "1\n/srv/b/c\n")
    check(case, path)


@test("disks", users=ALL)
def root_on_a_disk_is_read_only_or_thrown_away(case):
    guests, path = root_image(case)
    before = read(path)
    for how, answer in (("no", "Read-only file system\n"), ("overlay", "there\n")):
        for disks in ({}, {"0.readonly": "yes"}):
            r = run(guests, path, "(touch /srv/new && echo there) 2>&1 | grep -o 'Read-only.*\\|there'",
                    options=("--set", "guest.writable=" + how), disks=disks)
            case.equal(f"writable = {how}", r.out, answer)
    case.true("the image was written to", read(path) == before)


@test("disks", users=ALL)
def root_on_a_disk_that_cannot_be(case):
    """One line says why, and nothing is left."""
    guests, path = root_image(case)
    empty = os.path.join(case.directory(), "empty")
    disk(case, "create", "--size", "4M", empty)
    before = harness.mount_lines()
    for options, status, words in (
            (("-r", "disk:1"), 2, "no such disk; write .disk.1. image"),
            (("-r", "disk:x"), 2, "write disk:0 to disk:15"),
            (("-r", "disk:0p"), 2, "disk:0p1 for a partition"),
            (("-r", "disk:0p3"), 125, "root: disk:0p3: .*no such partition"),
            (("-r", "disk:1", "--set", "disk.1.image=" + empty), 125, "root: disk:1: .* super block"),
            ((*ROOT, "--set", "disk.0.readonly=yes"), 2, "writable = overlay or no"),
            ((*ROOT, "--set", "disk.0.mount=/srv"), 2, "leave mount out"),
            (("-r", "disk:1", "--set", "disk.1.ram=4M"), 125, "root: disk:1: .* super block")):
        case.one_line_error(guests.begun({"0.image": path}, "true", options), status, words)
    case.equal("mounts that are left", [m for m in harness.mount_lines() if m not in before and "ubd" in m], [])
    check(case, path)


@test("disks", users=("root", "user"))
def root_on_a_disk_of_each_kind(case):
    """Also one that was not unmounted, whose journal brings back what was synced."""
    need("mke2fs")
    guests = have(case)
    for kind, options in KINDS.items():
        path = os.path.join(case.directory(), "image")
        disk(case, "create", "--force", "--size", "48M", path)
        case.status(case.command(["/sbin/mke2fs", "-q", "-F", *options, "-d", tree(case), path]), 0)
        p = guests.start({"0.image": path}, SHELL, options=ROOT)
        case.equal("a file", tell(p, "echo kept >/srv/kept; sync /srv/kept; echo ok"), "ok")
        os.kill(case.kernel_pid(p.guest), signal.SIGKILL)
        p.wait(60)
        case.equal(kind, run(guests, path, "cat /srv/kept").out, "kept\n")
        if "ext2" not in kind:
            check(case, path)


@test("disks", users=ALL)
def root_on_a_disk_lost(case):
    """Who serves it is killed: the guest ends, nothing is left, and the journal has what was synced."""
    for victim in ("weir-blockfs", "weir-mounter", "weir-agent"):
        guests, path = root_image(case)
        p = guests.start({"0.image": path}, SHELL, options=ROOT)
        case.equal("a file", tell(p, "echo kept >/srv/kept; sync /srv/kept; echo lost >/srv/lost; echo ok"), "ok")
        below = harness.descendants(p.pid)
        os.kill(one(p, victim), signal.SIGKILL)
        case.true(f"weir run says that all was well without {victim}", p.wait(60) != 0)
        harness.wait_until(lambda: all(map(gone, below)), 20)
        case.equal("processes that are left", [harness.stat_fields(pid) for pid in below if not gone(pid)], [])
        case.equal("what was synced", run(guests, path, "cat /srv/kept").out, "kept\n")
        check(case, path)


@test("disks", users=ALL)
def root_on_a_disk_stops_and_reboots(case):
    """What was written a moment ago is there, also by a mapping, and the file system is clean."""
    guests, path = root_image(case)
    p = guests.start({"0.image": path}, "[ -e /srv/a ] && { echo ready; sleep 1000; }; echo 1 >/srv/a; echo ready; sleep 1000",
                     options=ROOT)
    case.status(case.weir("reboot", p.guest), 0)
    case.equal("after the reboot", p.stdout.readline(), b"ready\n")
    case.status(case.weir("exec", p.guest, "--", "/bin/sh", "-c", "echo 2 >/srv/b"), 0)
    case.status(case.weir("stop", p.guest), 0)
    p.wait(60)
    check(case, path)
    case.equal("both", run(guests, path, "cat /srv/a /srv/b").out, "1\n2\n")


@test("disks", users=("root", "user"))
def files_are_truncated_when_they_are_opened(case):
    """O_TRUNC, at once and on the disk."""
    guests, path = root_image(case)
    again = "stat -c %s /srv/a /srv/b; cat /srv/a"
    out = "2\n0\n1\n"
    r = run(guests, path, "echo 0123456789 >/srv/a; cat /srv/a /srv/a /srv/a >/srv/b; sync /srv/a; echo 1 >/srv/a; : >/srv/b; " + again)
    case.equal("at once", r.out, out)
    case.equal("in the next guest", run(guests, path, again).out, out)
    check(case, path)


MAPPED = """import mmap
f = open("/srv/mapped", "r+b")
m = mmap.mmap(f.fileno(), 1 << 20)
m[:] = b"w" * (1 << 20)
"""


@test("disks", users=("root", "user"))
def mapped_pages_are_written_at_the_end(case):
    """The guest ends with pages that only the host has; there is no msync(2) and no umount."""
    guests = have(case)
    path = os.path.join(case.directory(), "image")
    disk(case, "create", "--size", "16M", "--fs", "ext4", path)
    r = guests.run({"0.image": path, "0.mount": "/srv"}, "head -c 1M /dev/zero >/srv/mapped; python3 -c '%s'\n"
                   "grep -o '^/dev/ubd0 /srv fuse.ext4 rw' /proc/mounts" % MAPPED)
    case.equal("mounted", r.out, "/dev/ubd0 /srv fuse.ext4 rw\n")
    check(case, path)
    r = guests.run({"0.image": path, "0.mount": "/srv", "0.readonly": "yes"}, "tr -d w </srv/mapped | wc -c; wc -c </srv/mapped\n"
                   "touch /srv/x 2>&1 | grep -o 'Read-only.*'")
    case.equal("what was mapped", r.out, "0\n1048576\nRead-only file system\n")


@test("disks", users=("root", "user"))
def disks_are_mounted_where_nothing_is(case):
    """The directories are made, each with its own; and what starts there finds it."""
    guests, path = root_image(case)
    data = image(case, "ext4", "16M", "data")
    disks = {"1.image": data, "1.mount": "/new/a/b"}
    script = "grep -o '^/dev/ubd. [^ ]*' /proc/mounts; mkdir -p /new/a/b/c; pwd"
    case.equal("made", run(guests, path, script, disks=disks).out, "/dev/ubd0 /\n/dev/ubd1 /new/a/b\n/\n")
    r = run(guests, path, "pwd; ls -d /new/a/b", disks=disks, options=("--set", "guest.cwd=/new/a/b/c"))
    case.equal("a directory of the disk's", r.out, "/new/a/b/c\n/new/a/b\n")
    check(case, path)
    check(case, data)


@test("disks", users=("root", "user"))
def links_where_disks_are_mounted(case):
    """What the guest left in its root leads nowhere on the host: no directory is made there."""
    guests, path = root_image(case)
    outside = case.directory(0o777)
    os.chmod(outside, 0o777)
    disks = {"1.image": image(case, "ext4", "16M", "data")}
    for link in (outside, "../../../../../../../.." + outside, "srv", "/proc/self/root" + outside):
        run(guests, path, f"rm -rf /srv; ln -s {link} /srv")
        for place in ("/srv/data", "/srv/data/more", "/srv"):
            r = guests.begun({"0.image": path, **disks, "1.mount": place}, "true", options=ROOT)
            case.equal(f"on the host, for {link} and {place}", os.listdir(outside), [])
            case.one_line_error(r, 125, "root: .*srv")
    run(guests, path, f"rm -f /srv; ln -s ../..{outside} /srv; mkdir -p {outside}")
    r = run(guests, path, "grep -o '^/dev/ubd1 [^ ]*' /proc/mounts", disks={**disks, "1.mount": "/srv/data"})
    case.equal("a link within the root", r.out, f"/dev/ubd1 {outside}/data\n")
    case.equal("on the host", os.listdir(outside), [])
    check(case, path)


DEVICES = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def mount(source, target, kind, flags, data=None):
    return "ok" if libc.mount(source, target, kind, flags, data) == 0 else errno.errorcode[ctypes.get_errno()]
def opened(path):
    try:
        os.close(os.open(path, os.O_RDONLY))
        return "opened"
    except OSError as e:
        return errno.errorcode[e.errno]
REMOUNT, BIND = 32, 4096
print(opened("/srv/zero"))
print(mount(None, b"/srv", None, REMOUNT), opened("/srv/zero"))
print(mount(None, b"/srv", None, REMOUNT | BIND), opened("/srv/zero"))
open("/tmp/file", "w").close()
print(mount(b"/srv/zero", b"/tmp/file", None, BIND), mount(None, b"/tmp/file", None, REMOUNT | BIND), opened("/tmp/file"))
os.mkdir("/tmp/over")
mount(b"none", b"/tmp/over", b"overlay", 0, b"lowerdir=/srv:/etc")
print(opened("/tmp/over/zero") in ("EACCES", "ENOENT"), opened("/dev/zero"), opened("/dev/ptmx"))
"""


@test("disks", users=("root",))
def devices_on_a_disk_are_none_mounted_again(case):
    """Guest root that is the host's changes the mount, or puts another one over it."""
    need("debugfs")
    guests = have(case)
    data = image(case, "ext4", "16M", "data")
    case.status(case.command(["/sbin/debugfs", "-w", "-R", "mknod zero c 1 5", data]), 0)
    for user in ("new", "host"):
        r = guests.run({"0.image": data, "0.mount": "/srv"}, f"exec python3 -c '{DEVICES}'",
                       options=("--set", "namespaces.user=" + user))
        case.equal("user = " + user, r.out.splitlines(), [
            "EACCES", "ok EACCES", "ok EACCES", "ok ok EACCES", "True opened opened"])


@test("disks", users=("root", "user"))
def starts_where_a_disk_has_no_directory(case):
    """The one that weir run was started in is hidden by a disk: the guest starts in /."""
    guests = have(case)
    wrap, ids = guests.way
    where = case.directory(0o755)
    disks = {"0.image": image(case, "ext4", "16M"), "0.mount": os.path.dirname(where)}
    argv = wrap + case.run_argv(["/bin/pwd"], guests.options(disks))
    r = case.command(argv, ids=ids, cwd=where)
    case.equal("the directory", case.status(r, 0).out, "/\n")


@test("disks", users=("root",))
def devices_on_a_disk_are_none(case):
    """Also where the guest's root is the host's: a node in the image opens nothing."""
    need("debugfs")
    guests, path = root_image(case)
    data = image(case, "ext4", "16M", "data")
    for image_file in (path, data):
        for node in ("zero c 1 5", "mem c 1 1"):
            case.status(case.command(["/sbin/debugfs", "-w", "-R", "mknod " + node, image_file]), 0)
    script = ("for f in /zero /srv/zero /mem; do [ -c $f ] && dd if=$f bs=1 count=1 2>&1 | grep -o 'Permission denied'; done\n"
              "dd if=/dev/zero bs=1 count=1 2>/dev/null | grep -c ''")
    for options in ((), ("--set", "namespaces.user=host")):
        r = run(guests, path, script, options=options, disks={"1.image": data, "1.mount": "/srv"})
        case.equal(" ".join(options) or "usual", r.out, "Permission denied\n" * 3 + "1\n")


@test("disks", users=("root", "user"))
def root_on_a_partition(case):
    need("sfdisk")
    guests = have(case)
    path, part = (os.path.join(case.directory(), n) for n in ("image", "part"))
    disk(case, "create", "--from", tree(case), "--size", "32M", part)
    for label in ("gpt", "dos"):
        disk(case, "create", "--force", "--size", "64M", path)
        case.status(case.command(["/sbin/sfdisk", "-q", path], stdin=f"label: {label}\n1M,16M\n17M,32M\n"), 0)
        with open(path, "r+b") as f:
            f.seek(17 << 20)
            f.write(read(part))
        r = run(guests, path, "grep -o '^/dev/ubd0p2 / ' /proc/mounts; echo 1 >/srv/a; ls /dev/ubd0p1", root="disk:0p2")
        case.equal("answers", r.out, "/dev/ubd0p2 / \n/dev/ubd0p1\n")
        with open(part + ".after", "wb") as f:
            f.write(read(path)[17 << 20:49 << 20])
        check(case, part + ".after")

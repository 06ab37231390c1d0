# SPDX-License-Identifier: Apache-2.0
"""mounts.py - processes that serve file systems of disks, killed and hung; partitions, mounted"""

import contextlib
import ctypes
import os
import signal

import harness
from disk_ext import check, have, image
from disk_guests import ALL, SHELL, disk, gone, named, one, read, tell
from harness import Failed, Skipped, need, test

# mount(2) and umount2(2), and nothing that mount(8) looks at besides.
CALLS = """mkdir -p /tmp/m /tmp/n; cat >/tmp/calls.py <<'E'
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
do, *args = sys.argv[1:]
args = [a.encode() for a in args]
r = libc.mount(args[0], args[1], b"ubd", 0, None) if do == "mount" else libc.umount2(args[0], 0)
print("ok" if r == 0 else errno.errorcode[ctypes.get_errno()], flush=True)
E
call() { python3 /tmp/calls.py "$@"; }
"""
KEPT = "echo kept >/tmp/m/kept; sync /tmp/m/kept; echo lost >/tmp/m/other; echo ok"
AGAIN = CALLS + "call mount /dev/ubd0 /tmp/m; cat /tmp/m/kept; umount /tmp/m"


@contextlib.contextmanager
def hung(pid):
    """Held by ptrace(2): the host lets who is stopped go on when all above it are dead, but not this one."""
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (0x4206, 0x4207):	# PTRACE_SEIZE, PTRACE_INTERRUPT
        if libc.ptrace(ctypes.c_long(request), ctypes.c_long(pid), None, None):
            raise Skipped("ptrace: " + os.strerror(ctypes.get_errno()))
    os.waitpid(pid, 0x40000000)		# __WALL
    try:
        yield
    finally:
        if not gone(pid):
            libc.ptrace(ctypes.c_long(17), ctypes.c_long(pid), None, None)		# PTRACE_DETACH
        else:
            os.waitpid(pid, 0x40000000)


def mounted(case):
    """A guest that has mounted its disk, and what serves it."""
    guests = have(case)
    path = image(case, "ext4", "16M")
    p = guests.start({"0.image": path}, CALLS + SHELL)
    case.equal("mount", tell(p, "call mount /dev/ubd0 /tmp/m"), "ok")
    case.equal("a file", tell(p, KEPT), "ok")
    return guests, path, p, one(p, "weir-blockfs")


def mounted_again(case, p, path):
    case.equal("mount", tell(p, "call mount /dev/ubd0 /tmp/m"), "ok")
    case.equal("what was synced", tell(p, "cat /tmp/m/kept"), "kept")
    p.communicate(b"umount /tmp/m\n", timeout=90)
    check(case, path)


@test("disks", users=ALL)
def server_is_killed(case):
    """The guest goes on without it, and mounts the disk again: the journal has what was synced."""
    _, path, p, server = mounted(case)
    os.kill(server, signal.SIGKILL)
    case.true("it is there still", harness.wait_until(lambda: gone(server), 20))
    case.matches("its files", tell(p, "cat /tmp/m/kept 2>&1 | tail -1"), "not connected|aborted")
    case.equal("umount", tell(p, "call umount /tmp/m"), "ok")
    mounted_again(case, p, path)


@test("disks", users=ALL)
def server_hangs(case):
    """umount ends without it, the log says so, and the disk can be mounted again."""
    _, path, p, server = mounted(case)
    os.kill(server, signal.SIGSTOP)
    case.equal("umount", tell(p, "call umount /tmp/m"), "ok")
    case.true("it is there still", harness.wait_until(lambda: gone(server), 20))
    case.matches("the log", case.weir("log", p.guest).out, "mount: /dev/ubd0: .* does not answer and is killed")
    mounted_again(case, p, path)


@test("disks", users=ALL)
def guest_ends_with_a_server_that_hangs(case):
    guests, path, p, server = mounted(case)
    os.kill(server, signal.SIGSTOP)
    p.stdin.close()
    case.equal("weir run", p.wait(90), 0)
    case.true("the server is there still", harness.wait_until(lambda: gone(server), 20))
    case.equal("what was synced", guests.run({"0.image": path}, AGAIN).out, "ok\nkept\n")
    check(case, path)


@test("disks", users=ALL)
def kernel_is_killed_with_a_mount(case):
    """Nothing is left, whether what serves it runs or hangs."""
    for hold in (contextlib.nullcontext, hung):
        before = harness.mount_lines()
        guests, path, p, server = mounted(case)
        below = harness.descendants(p.pid)
        with hold(server):
            kernel = case.kernel_pid(p.guest)
            if hold is hung:
                p.kill()	# who would end what the guest kernel left
            with contextlib.suppress(ProcessLookupError):
                os.kill(kernel, signal.SIGKILL)
            case.true("the server is there still", harness.wait_until(lambda: gone(server), 20))
        p.wait(60)
        harness.wait_until(lambda: all(map(gone, below)), 20)
        left = [harness.stat_fields(pid) for pid in below if not gone(pid)]
        case.equal("processes that are left", left, [])
        case.equal("mounts that are left", [m for m in harness.mount_lines() if m not in before and "ubd" in m], [])
        case.equal("what was synced", guests.run({"0.image": path}, AGAIN).out, "ok\nkept\n")
        check(case, path)


@test("disks")
def mounter_hangs(case):
    """mount(2) fails in the end, and works when it goes on."""
    guests = have(case)
    p = guests.start({"0.image": image(case, "ext4", "16M")}, CALLS + SHELL)
    mounter = one(p, "weir-mounter")
    os.kill(mounter, signal.SIGSTOP)
    case.equal("mount", tell(p, "call mount /dev/ubd0 /tmp/m"), "ETIMEDOUT")
    os.kill(mounter, signal.SIGCONT)
    case.equal("mount", tell(p, "call mount /dev/ubd0 /tmp/m"), "ok")
    case.true("who was too late stays", harness.wait_until(lambda: len(named(p, "weir-blockfs")) == 1, 20))
    case.equal("umount", tell(p, "call umount /tmp/m"), "ok")


@test("disks", users=ALL)
def partitions_are_mounted(case):
    """Each by itself, and not beside its disk."""
    need("sfdisk")
    guests = have(case)
    path = os.path.join(case.directory(), "image")
    disk(case, "create", "--size", "64M", path)
    r = guests.run({"0.image": path}, CALLS +
                   r"printf 'label: gpt\n,16M\n,40M\n' | sfdisk -q /dev/ubd0" "\n"
                   "mke2fs -q -F -t ext4 /dev/ubd0p1; mke2fs -q -F -t ext2 /dev/ubd0p2\n"
                   "call mount /dev/ubd0p1 /tmp/m; call mount /dev/ubd0p2 /tmp/n; call mount /dev/ubd0p1 /tmp/n\n"
                   "call mount /dev/ubd0 /tmp/n; grep -o '^/dev/ubd0p. /tmp/.' /proc/mounts\n"
                   "cp /bin/sh /tmp/m/; cp /tmp/m/sh /tmp/n/; umount /tmp/m; call mount /dev/ubd0 /tmp/m\n"
                   "mount -t ubd -o ro /dev/ubd0p1 /tmp/m; cmp /tmp/m/sh /tmp/n/sh; umount /tmp/m /tmp/n\n"
                   "call mount /dev/ubd0 /tmp/m")
    case.equal("answers", r.out.splitlines(), ["ok", "ok", "EBUSY", "EBUSY", "/dev/ubd0p1 /tmp/m", "/dev/ubd0p2 /tmp/n",
                                              "EBUSY", "EINVAL"])
    for start, size in ((1, 16), (17, 40)):
        part = os.path.join(case.directory(), "part")
        with open(part, "wb") as f:
            f.write(read(path)[start << 20:(start + size) << 20])
        check(case, part)


FSTAB = """mkdir -p /tmp/m; echo "$(blkid -o value -s UUID /dev/ubd0) $(blkid -o value -s LABEL /dev/ubd0)" >/tmp/tags; read -r uuid label </tmp/tags
for source in /dev/ubd0 UUID=$uuid LABEL=$label; do
	echo "$source /tmp/m ubd nosuid 0 0" >/etc/fstab
	mount -a; findmnt -no SOURCE,TARGET /tmp/m; grep -c ' /tmp/m fuse.* rw,nosuid,' /proc/mounts
	mount -o remount,ro /tmp/m; touch /tmp/m/x 2>&1 | grep -o 'Read-only.*'
	umount /tmp/m; mount /tmp/m; umount /dev/ubd0; findmnt /tmp/m || echo none
done"""


@test("disks", users=("root",))
def disks_are_mounted_by_fstab(case):
    """With type ubd, by mount(8) of util-linux: by name, UUID and label."""
    need("blkid", "findmnt", "e2label")
    guests = have(case)
    path = image(case, "ext4", "16M")
    case.status(case.command(["/sbin/e2label", path, "data"]), 0)
    r = guests.run({"0.image": path}, FSTAB)
    case.equal("answers", r.out.splitlines(), ["/dev/ubd/0 /tmp/m", "1", "Read-only file system", "none"] * 3)
    check(case, path)


@test("disks", users=("root", "user"))
def a_disk_in_memory_is_removed(case):
    """Not while it is mounted."""
    guests = have(case)
    p = guests.start({"0.image": image(case, "ext4", "16M"), "1.ram": "8M"}, CALLS + SHELL)
    case.equal("mkfs", tell(p, "mke2fs -q -F -t ext4 /dev/ubd1 && call mount /dev/ubd1 /tmp/m"), "ok")
    case.one_line_error(case.weir("disk", "remove", p.guest, "1"), 1, "open")
    case.equal("a file", tell(p, "echo 1 >/tmp/m/a; a=$(cat /tmp/m/a); umount /tmp/m; echo $a"), "1")
    case.status(case.weir("disk", "remove", p.guest, "1"), 0)
    case.equal("the guest's /dev", tell(p, "ls /dev | grep ubd | tr '\\n' ' '; echo"), "ubd ubd0 ")
    p.stdin.close()
    case.equal("weir run", p.wait(60), 0)

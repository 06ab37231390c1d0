# SPDX-License-Identifier: Apache-2.0
"""What the parts of suite "disks" share: files of disks, and guests that have them"""

import os
import random
import shutil
import subprocess

import fuse_dev
import harness
from harness import Failed, Skipped, need

SECTOR = 512


def disk(case, *args, status=0, **kw):
    return case.status(case.weir("disk", *args, **kw), status)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def random_image(case, name, size, seed=1):
    path = os.path.join(case.directory(), name)
    r = random.Random(seed)
    with open(path, "wb") as f:
        f.write(b"".join(r.randbytes(4096) if r.random() < 0.5 else bytes(4096) for _ in range(size // 4096)))
        f.write(r.randbytes(size % 4096))
    return case.owned(path)


def names(path):
    return sorted(os.listdir(os.path.dirname(path)))


def full_file_system(case, size):
    """A directory on a tmpfs of some size, in a mount namespace of the command's own."""
    if case.user.kind != "root":
        raise Skipped("needs root to mount a small file system")
    place = case.directory()
    return place, lambda script: case.command(
        ["unshare", "-m", "sh", "-ec", f"mount -t tmpfs -o size={size} t {place}\n" + script])


class Guests:
    """Guests with disks."""

    def __init__(self, case):
        self.case = case
        self.way = fuse_dev.reach(case)

    @staticmethod
    def options(disks):
        return [x for key, value in disks.items() for x in ("--set", f"disk.{key}={value}")]

    @staticmethod
    def shell(script):
        return ["/bin/sh", "-c", "PATH=$PATH:/usr/sbin:/sbin; set -e\n" + script]

    def begun(self, disks, script, options=(), **kw):
        wrap, ids = self.way
        return self.case.command(wrap + self.case.run_argv(self.shell(script), [*options, *self.options(disks)]), ids=ids, **kw)

    def run(self, disks, script, status=0, options=(), **kw):
        return self.case.status(self.begun(disks, script, options, **kw), status)

    def refused(self, disks, pattern):
        self.case.one_line_error(self.begun(disks, "true"), 125, pattern)

    def start(self, disks, script, options=()):
        """In the background, once it has said "ready"."""
        p = self.case.start(*self.shell(script), options=[*options, *self.options(disks)], way=self.way,
                            stdin=subprocess.PIPE)
        if p.stdout.readline() != b"ready\n":
            raise Failed("not ready: " + p.stderr.read().decode())
        return p


ALL = ("root", "user", "single")

# Each line that it is told, run.
SHELL = "echo ready; while read -r x; do eval \"$x\" || echo failed; done"


def tell(p, line):
    """A line for the guest's shell; what it says next."""
    p.stdin.write(line.encode() + b"\n")
    p.stdin.flush()
    return p.stdout.readline().decode().rstrip("\n")


def named(p, name):
    """The processes of this name below weir run."""
    fields = [(pid, harness.stat_fields(pid)) for pid in harness.descendants(p.pid)]
    return [pid for pid, f in fields if f and f[2] == name]


def one(p, name):
    pids = named(p, name)
    if len(pids) != 1:
        raise Failed(f"{len(pids)} processes are {name}")
    return pids[0]


def gone(pid):
    fields = harness.stat_fields(pid)
    return not fields or fields[1] == "Z"


TOOLS = ("sh", "cat", "chmod", "chown", "dd", "df", "echo", "find", "grep", "ls", "mkdir", "mount", "mv", "rm", "sleep", "stat",
         "sync", "touch", "true", "umount")


def tree(case):
    """A system of one program, which needs no libraries."""
    need("busybox")
    top = os.path.join(case.directory(), "tree")
    for name in ("bin", "dev", "etc", "proc", "run", "srv", "sys", "tmp"):
        os.makedirs(os.path.join(top, name))
    shutil.copy("/bin/busybox", os.path.join(top, "bin/busybox"))
    for name in TOOLS:
        os.symlink("busybox", os.path.join(top, "bin", name))
    for where, _, _ in os.walk(top):
        os.chmod(where, 0o755)
    return top

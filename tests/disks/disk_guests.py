# SPDX-License-Identifier: Apache-2.0
"""What the parts of suite "disks" share: files of disks, and guests that have them"""

import os
import random
import subprocess

import harness
from harness import Failed, Skipped

SECTOR = 512


def disk(case, *args, status=0, **kw):
    return case.status(case.weir("disk", *args, **kw), status)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def give(case, path):
    if os.getuid() == 0:
        os.chown(path, case.user.uid, case.user.gid)
    return path


def random_image(case, name, size, seed=1):
    path = os.path.join(case.directory(), name)
    r = random.Random(seed)
    with open(path, "wb") as f:
        f.write(b"".join(r.randbytes(4096) if r.random() < 0.5 else bytes(4096) for _ in range(size // 4096)))
        f.write(r.randbytes(size % 4096))
    return give(case, path)


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
    """Guests with disks; where /dev/fuse shuts users out, root binds one that does not over it."""

    def __init__(self, case):
        self.case, self.wrap, self.ids = case, [], None
        try:
            mode = os.stat("/dev/fuse")
        except OSError:
            raise Skipped("the host has no /dev/fuse")
        if case.user.uid == 0 or mode.st_mode & 0o006 == 0o006:
            return
        if os.getuid() != 0:
            raise Skipped("/dev/fuse may not be opened, and only root can make a node")
        node = os.path.join(case.directory(), "fuse")
        os.mknod(node, mode.st_mode, mode.st_rdev)
        os.chmod(node, 0o666)
        self.ids = {}
        self.wrap = ["unshare", "-m", "--propagation", "private", "sh", "-c",
                     f"mount --bind {node} /dev/fuse && exec setpriv --reuid={case.user.uid} "
                     f"--regid={case.user.gid} --clear-groups \"$@\"", "sh"]

    def argv(self, disks, script, name=None, more=()):
        options = [*more] + [x for key, value in disks.items() for x in ("--set", f"disk.{key}={value}")]
        return self.wrap + self.case.run_argv(
            ["/bin/sh", "-c", "PATH=$PATH:/usr/sbin:/sbin; set -e\n" + script], options, name)

    def run(self, disks, script, status=0):
        return self.case.status(self.case.command(self.argv(disks, script), ids=self.ids), status)

    def refused(self, disks, pattern):
        r = self.case.command(self.argv(disks, "true"), ids=self.ids)
        self.case.one_line_error(r, 125, pattern)

    def start(self, disks, script, options=()):
        """In the background, once it has said "ready"."""
        name = self.case.ctx.unique()
        p = subprocess.Popen(self.argv(disks, script, name, options), env=dict(self.case.user.env()), cwd="/",
                             start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE,
                             **(self.case.user.popen_ids() if self.ids is None else self.ids))
        self.case.cleanups.append(lambda: harness.stop_popen(p))
        p.guest = name
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

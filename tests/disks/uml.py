# SPDX-License-Identifier: Apache-2.0
"""uml.py - User-mode Linux and weir boot from each other's COW files"""

import os
import shutil

from disk_ext import check, have
from disk_guests import disk, read, tree
from harness import need, test

GO = """#!/bin/sh
busybox cat /srv/weir >/srv/uml 2>/dev/null || echo none >/srv/uml
busybox sync
busybox poweroff -f
"""


def base(case):
    top = tree(case)
    with open(os.path.join(top, "bin/go"), "w") as f:
        f.write(GO)
    os.chmod(os.path.join(top, "bin/go"), 0o755)
    path = os.path.join(case.directory(), "base")
    disk(case, "create", "--from", top, "--size", "32M", path)
    return path


def boot(case, ubd0):
    """On one CPU, as its kernel wants; what it keeps of itself goes with the test, not into a home."""
    cpu = min(os.sched_getaffinity(0))
    case.status(case.command(["taskset", "-c", str(cpu), shutil.which("linux.uml"), "mem=64M", "ubd0=" + ubd0, "root=/dev/ubda",
                              "rw", "init=/bin/go", "con=null", "con0=fd:0,fd:1", f"uml_dir={case.directory()}/"], timeout=110), 0)


@test("disks")
def uml_boots_from_our_cow(case):
    need("linux.uml", "taskset")
    guests, image = have(case), base(case)
    before = read(image)
    cow = os.path.join(case.directory(), "cow")
    disk(case, "create", "--backing", image, cow)
    guests.run({"0.cow": cow}, "echo from weir >/srv/weir", options=("-r", "disk:0"))
    boot(case, cow)
    case.equal("what it wrote", guests.run({"0.cow": cow}, "cat /srv/uml", options=("-r", "disk:0")).out, "from weir\n")
    case.true("the base was written to", read(image) == before)
    merged = os.path.join(case.directory(), "merged")
    disk(case, "merge", cow, merged)
    check(case, merged)


@test("disks")
def weir_boots_from_a_cow_of_uml(case):
    """Which makes one that is not there."""
    need("linux.uml", "taskset")
    guests, image = have(case), base(case)
    cow = os.path.join(case.directory(), "cow")
    boot(case, f"{cow},{image}")
    case.equal("what it wrote", guests.run({"0.cow": cow}, "cat /srv/uml; echo 1 >/srv/weir", options=("-r", "disk:0")).out, "none\n")
    boot(case, cow)
    case.equal("again", guests.run({"0.cow": cow}, "cat /srv/uml", options=("-r", "disk:0")).out, "1\n")

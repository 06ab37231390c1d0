# SPDX-License-Identifier: Apache-2.0
"""What the tests of mounted disks share: ext2, ext3 and ext4 made and checked by e2fsprogs"""

import os

from disk_guests import Guests, disk
from harness import Failed, Skipped, need

KINDS = {
    "ext4": ("-t", "ext4"),
    "ext4 with blocks of 1 KiB": ("-t", "ext4", "-b", "1024"),
    "ext4 with large inodes and no checksums": ("-t", "ext4", "-I", "512", "-O", "^metadata_csum,^64bit"),
    "ext3": ("-t", "ext3"),
    "ext3 with blocks of 1 KiB and no checksums": ("-t", "ext3", "-b", "1024", "-O", "^metadata_csum"),
    "ext2": ("-t", "ext2", "-b", "2048"),
}


def have(case):
    need("mke2fs", "e2fsck")
    if "libext2fs" in case.weir("version").out:
        raise Skipped("this weir was built without libext2fs")
    return Guests(case)


def image(case, kind, size="96M", name="image", more=()):
    path = os.path.join(case.directory(), name)
    disk(case, "create", "--force", "--size", size, path)
    case.status(case.command(["/sbin/mke2fs", "-q", "-F", *KINDS[kind], *more, path]), 0)
    return path


def check(case, path):
    r = case.command(["/sbin/e2fsck", "-f", "-n", path])
    if r.status:
        raise Failed("e2fsck: " + r.out + r.err)

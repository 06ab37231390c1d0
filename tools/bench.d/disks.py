# SPDX-License-Identifier: Apache-2.0
"""disks.py - the disks of the group disk: files beside each other on the host's file system.

The image is full of bytes that no two sectors have alike, so that no layer below us can make little
of it; natively it is read itself, in weir it is /dev/ubd0, in User-mode Linux /dev/ubda. The other
one is an ext4 file system in a sparse file, which weir mounts; natively the host's own file system
is used, beside it. Both are made for a run and end with it.
"""
import os
import subprocess

IMAGE, IMAGE_MIB = "disk.img", 512
FS, FS_MIB = "fs.img", 2048
# How long fio reads in seconds, and how long the file is in MiB: in full, and quickly.
SECONDS = (4, 2)
FILE_MIB = (512, 128)
DISK_NEEDS = ("fio",)
FS_NEEDS = ("dd", "tar", "make", "cc", "mke2fs")


def make_disks(top):
    """Returns why there are none, or nothing."""
    top.mkdir(parents=True, exist_ok=True)
    with open(top / IMAGE, "wb") as file:
        for _ in range(IMAGE_MIB):
            file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
    try:
        subprocess.run(
            ["mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=0", str(top / FS), f"{FS_MIB}M"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"},
        )
    except OSError as error:
        return f"mke2fs: {error.strerror}"
    except subprocess.CalledProcessError as error:
        return f"mke2fs: {error.stderr.strip()}"
    return ""


def forget_pages(path):
    """Nobody begins with pages of it in memory: User-mode Linux reads through the page cache."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)

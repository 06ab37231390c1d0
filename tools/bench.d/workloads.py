# SPDX-License-Identifier: Apache-2.0
"""workloads.py - the rows of the table, and the building of the programs that measure them."""
import os
import socket
import subprocess
from pathlib import Path

from disks import DISK_NEEDS, FS_NEEDS, make_disks
from inputs import make_inputs

HERE = Path(__file__).resolve().parent
FILE = os.path.realpath(
    "/usr/bin/env"
)  # read, opened and asked about: a file of the system, on the root of every runner


class Row:
    """group: one of GROUPS. small: so cheap that the difference in ns says more than the ratio."""

    def __init__(self, name, group, title, small=False):
        self.name, self.group, self.title, self.small = name, group, title, small


ROWS = [
    Row("getppid", "micro", "getppid", small=True),
    Row("clock-real", "micro", "clock_gettime(REALTIME), vDSO", small=True),
    Row("clock-mono", "micro", "clock_gettime(MONOTONIC), vDSO", small=True),
    Row("clock-day", "micro", "gettimeofday, vDSO", small=True),
    Row("cond-wait", "micro", "pthread_cond_timedwait of 1 ms", small=True),
    Row("read", "micro", "read 4 KiB"),
    Row("write", "micro", "write 4 KiB"),
    Row("stat", "micro", "stat"),
    Row("open", "micro", "open + close"),
    Row("mmap", "micro", "mmap + munmap"),
    Row("fault", "micro", "minor fault"),
    Row("fork", "micro", "fork + wait"),
    Row("exec", "micro", "fork + exec + wait"),
    Row("exec-true", "micro", "fork + exec of /bin/true + wait"),
    Row("pipe", "micro", "pipe ping-pong"),
    Row("thread", "micro", "thread create + join"),
    Row("proc-stat", "micro", "reading /proc/stat"),
    Row("proc-meminfo", "micro", "reading /proc/meminfo"),
    Row("trap", "micro", "trapped call (sethostname)"),
    Row("notify", "micro", "bare notification round trip"),
    Row("notify-work", "micro", "bare notification that does sethostname"),
    Row("trap-free", "free", "trapped call, any CPU"),
    Row("notify-free", "free", "bare notification, any CPU"),
    Row("pair-pipe-free", "free", "pipe ping-pong, any CPU"),
    Row("pair-socket-free", "free", "socketpair ping-pong, any CPU"),
    Row("groups-free", "free", "groups of senders and receivers"),
    Row("busy-free", "free", "two busy processes"),
    Row("contend-free", "free", "four threads, two locks"),
    Row("pipe-long", "long", "pipe ping-pong, mean of ten seconds"),
    Row("fork-long", "long", "fork + wait, mean of ten seconds"),
    Row("start", "start", "start to exit of true"),
    Row("start-pinned", "start", "start to exit of true, one CPU"),
    Row("make", "macro", "make -j2 of a C program"),
    Row("python", "macro", "python3 start-up"),
    Row("sqlite", "macro", "sqlite3 inserts, selects"),
    Row("git", "macro", "git clone, status, log"),
    Row("redis", "macro", "redis-benchmark, loopback"),
    Row("nginx", "macro", "nginx with wrk, a request"),
    Row("tar", "macro", "tar + gzip of a tree"),
    Row("disk-random", "disk", "4 KiB random reads of a disk, depth 32"),
    Row("disk-single", "disk", "4 KiB random read of a disk, depth 1"),
    Row("disk-stream", "disk", "1 MiB sequential reads of a disk"),
    Row("fs-write", "disk", "1 MiB written to ext4, with fsync at the end"),
    Row("fs-read", "disk", "1 MiB read from ext4"),
    Row("fs-build", "disk", "untar and make -j2 on ext4"),
    Row("memory", "memory", "guest kernel at rest, KiB private"),
]
GROUPS = ("micro", "free", "long", "start", "macro", "disk", "memory")
DISK_ROWS = tuple(row.name for row in ROWS if row.group == "disk")
# Of the group long: how long, in full and quickly, and the runners in which it says something.
LONG_SECONDS = (10, 3)
LONG_RUNNERS = ("native", "hosting", "unobserved")
NATIVE_ONLY = ("notify", "notify-work", "notify-free")
# How much work a macro-benchmark does: in full, and quickly. 1: the size of its inputs decides.
MACRO = {
    "make": (1, 1),
    "python": (12, 4),
    "sqlite": (1, 1),
    "git": (2, 1),
    "redis": (40000, 8000),
    "nginx": (2, 1),
    "tar": (4, 2),
}
NEEDS = {
    "make": ("make", "cc"),
    "python": ("/usr/bin/python3",),
    "sqlite": ("sqlite3",),
    "git": ("git",),
    "redis": ("redis-server", "redis-benchmark", "redis-cli"),
    "nginx": ("nginx", "wrk"),
    "tar": ("tar", "gzip"),
    **{row: FS_NEEDS if row.startswith("fs-") else DISK_NEEDS for row in DISK_ROWS},
}


class Place:
    """Where things are. All that runners need to see is in the build directory."""

    def __init__(self, build, weir, quick):
        self.build, self.weir, self.quick = Path(build).resolve(), weir, quick
        self.run = self.build / f"run-{os.getpid()}"
        self.micro, self.umlinit = self.build / "micro", self.build / "umlinit"
        self.micro_dynamic = self.build / "micro-dynamic"  # for what is preloaded
        self.macro = self.build / "macro"
        self.inputs = self.build / ("inputs-quick" if quick else "inputs")
        self.disks = self.run / "disks"
        self.no_disks = "no row of the group disk is measured"
        with socket.socket() as probe:  # free on the host, for those that share its network
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def prepare(self, disks):
        """Builds what is older than its source; raises RuntimeError with one line."""
        self.run.mkdir(parents=True, exist_ok=True)
        micro = ["micro.c", "calls.c", "tasks.c", "notify.c", "together.c", "spawn.c"]
        self.compile(self.micro, micro)
        self.compile(self.micro_dynamic, micro, static=False)
        self.compile(self.umlinit, ["umlinit.c"])
        self.macro.mkdir(exist_ok=True)
        for script in (HERE / "macro").glob("*.sh"):
            target = self.macro / script.name
            if not target.exists() or target.read_bytes() != script.read_bytes():
                target.write_bytes(script.read_bytes())
        make_inputs(self.inputs, self.quick)
        if disks:
            self.no_disks = make_disks(self.disks)

    def compile(self, target, names, static=True):
        sources = [HERE / name for name in names]
        newest = max(path.stat().st_mtime for path in [*sources, HERE / "micro.h"])
        if target.exists() and target.stat().st_mtime > newest:
            return
        command = [
            os.environ.get("CC", "cc"),
            "-O2",
            *(["-static"] if static else []),
            "-pthread",
            "-D_GNU_SOURCE",
            "-o",
            f"{target}.new",
            *map(str, sources),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise RuntimeError(f"{command[0]}: {error.strerror}: a C compiler is needed") from error
        if done.returncode:
            raise RuntimeError(
                f"{target.name} does not build: {done.stderr.strip().splitlines()[-1]}"
            )
        os.rename(f"{target}.new", target)

# SPDX-License-Identifier: Apache-2.0
"""runners.py - the ways a program can be run: natively, in weir, and in each peer.

A runner turns an argument list into the command that runs it. What must be set up around that
command but is not part of it (mounts that only this peer needs) comes from outside(), and is not
timed when the start of the runner is.

What every runner gives its program: the host's / as a read-only root, a /proc, a /dev, a /tmp and a
tmpfs on /dev/shm of its own (natively and in PRoot: the host's), no network but a loopback, and no
more limits than the host has. Where they differ:
  weir      guest.writable=no, so its root is the same read-only bind as bubblewrap's; "overlay" is
            weir with its default root
  bwrap     all namespaces but time, no seccomp filter
  filter    bwrap with a filter of one instruction, which allows every call: what any filter costs;
            only the rows of calls that pass
  crun      the namespaces of a container but no user namespace (rootless: in one made by unshare),
            no cgroup, no seccomp filter
  proot     -0, root is / as seen through its path translation
  runsc     the best platform this runsc has that needs no /dev/kvm; its gofer serves /
  unobserved weir with sched.source=traps; only the rows in which observing may cost
  limited   weir with a machine of its own to show; only the rows that read of it
  time-lab  weir with clocks of the guest's own, three days ahead; only the rows about clocks
  stamps    the same, and file times by the guest's clock; only rows of programs that ask for them
  disks     weir with two disks; only the rows of the group disk
  faketime  libfaketime, three days ahead, preloaded into the same program linked dynamically;
            "-m" is its multi-threaded mode; the same rows
  uml       one CPU, always; root is hostfs of /, read-only; starting it is booting a kernel
"""
import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

from disks import FS, IMAGE

REPO = Path(__file__).resolve().parents[2]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What is hidden by the /tmp of a runner if the build directory lies there.
PRIVATE = "/tmp/"
OBSERVED_ROWS = ("pipe-long", "fork-long", "fork", "pipe", "make")
MACHINE_ROWS = ("fault", "proc-stat", "proc-meminfo")
IDS_ROWS = ("stat", "open", "make")
PASS_ROWS = ("getppid", "read", "write", "stat", "open", "mmap", "fault", "fork", "exec")
CLOCK_ROWS = ("clock-real", "clock-mono", "clock-day", "cond-wait", "exec", "exec-true")
STAMP_ROWS = ("stat", "make", "tar")
DISK_ROWS = ("disk-random", "disk-single", "disk-stream", "fs-write", "fs-read", "fs-build")


def find(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":" + PATH)


def first_line(*argv):
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout + done.stderr).strip().partition("\n")[0]


class Runner:
    """name: on the command line; title: in tables; slow: fewer rounds; one_cpu: uses no more."""

    name = title = program = ""
    slow = one_cpu = False
    rows = None  # those that it is measured by; None: all

    def __init__(self, place):
        self.place = place  # class Place: where things are
        self.reason = ""  # why it is not measured
        self.found = ""  # its version

    def find(self):
        """True if what it needs is there; otherwise the reason is set."""
        if not self.program or find(self.program):
            return True
        self.reason = f"{self.program} is not installed"
        return False

    def version(self):
        return first_line(self.program, "--version") if self.program else ""

    def outside(self):
        return []

    def command(self, argv):
        return argv

    def output(self, text):
        """The program's own output, out of everything the runner printed."""
        return text

    def clean(self):
        """After every run."""


class Native(Runner):
    name, title = "native", "native"

    def version(self):
        return "Linux " + os.uname().release


class Weir(Runner):
    program = "weir"

    def __init__(self, place, name, policy, settings, title, rows=None):
        super().__init__(place)
        self.rows = rows
        self.name, self.policy, self.title = name, policy, title
        self.settings = [word for setting in settings for word in ("--set", setting)]

    def find(self):
        at = self.place.weir
        candidates = [at] if at else [REPO / "build/src/weir", REPO / "build/weir", find("weir")]
        self.weir = next(
            (str(Path(c).resolve()) for c in candidates if c and os.access(c, os.X_OK)), None
        )
        if not self.weir:
            self.reason = (
                f"{at} cannot be executed"
                if at
                else "no weir in build/ or on PATH: build it or say --weir FILE"
            )
            return False
        shipped = REPO / "policies" / f"{self.policy}.policy"
        self.policy_name = str(shipped) if shipped.exists() else self.policy
        return True

    def version(self):
        return first_line(self.weir, "version")

    def command(self, argv):
        return [self.weir, "run", "-p", self.policy_name, *self.settings, "--", *argv]


class Single(Weir):
    """A guest whose users the guest kernel keeps over one host id, as its root or as another."""

    def __init__(self, place, name, settings, title, prefix=()):
        super().__init__(place, name, "id-lab", settings, title, IDS_ROWS)
        self.prefix = prefix

    def find(self):
        if os.getuid() == 0:
            self.reason = "root has an id for each user of a guest: run this bench as an ordinary user"
            return False
        return super().find()

    def command(self, argv):
        return super().command([*self.prefix, *argv])


class Disks(Weir):
    """A guest with the two disks of disks.py."""

    def find(self):
        self.reason = self.place.no_disks
        if self.reason:
            return False
        for i, name in enumerate((IMAGE, FS)):
            self.settings += ["--set", f"disk.{i}.image={self.place.disks / name}"]
        return super().find()


class Faketime(Runner):
    program, rows = "faketime", CLOCK_ROWS

    def __init__(self, place, name, flags):
        super().__init__(place)
        self.name = name
        self.title = " ".join(["faketime", *flags])
        self.flags = flags

    def command(self, argv):
        static = str(self.place.micro)
        if static not in argv:
            return argv
        at = argv.index(static)
        fake = ["faketime", *self.flags, "-f", "+3d", str(self.place.micro_dynamic)]
        return [*argv[:at], *fake, *argv[at + 1 :]]


class Bubblewrap(Runner):
    name = title = program = "bwrap"
    flags = []

    def command(self, argv):
        own = (
            ["--ro-bind", str(self.place.build), str(self.place.build)]
            if str(self.place.build).startswith(PRIVATE)
            else []
        )
        return [
            "bwrap",
            *self.flags,
            "--unshare-all",
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/tmp",
            *own,
            *argv,
        ]


class Filtered(Bubblewrap):
    """Each launch makes the filter anew: bwrap reads it from a descriptor that it closes."""

    name, title, rows = "filter", "bwrap + filter", PASS_ROWS
    flags = ["--seccomp", "9"]
    RET_K, ALLOW = 0x06, 0x7FFF0000  # BPF_RET | BPF_K, SECCOMP_RET_ALLOW

    def outside(self):
        program = self.place.run / "filter.bpf"
        program.write_bytes(struct.pack("=HBBI", self.RET_K, 0, 0, self.ALLOW))
        return ["sh", "-c", 'exec "$@" 9<"$0"', str(program)]


class PRoot(Runner):
    name, title, program, slow = "proot", "PRoot", "proot", True

    def version(self):
        found = re.search(
            r"\d+\.\d+\.\d+",
            subprocess.run(
                ["proot", "--version"], capture_output=True, text=True, check=False
            ).stdout,
        )
        return "PRoot " + found[0] if found else ""

    def command(self, argv):
        return ["proot", "-0", "-r", "/", "-w", "/", *argv]


def bundle(where, argv, root, build):
    """An OCI bundle whose program is argv, on a read-only root."""
    caps = [
        "CAP_SYS_ADMIN",
        "CAP_CHOWN",
        "CAP_DAC_OVERRIDE",
        "CAP_FOWNER",
        "CAP_KILL",
        "CAP_SETUID",
        "CAP_SETGID",
    ]

    def mount(target, kind, *words):
        return {"destination": target, "type": kind, "source": kind, "options": ["nosuid", *words]}

    mounts = [
        mount("/proc", "proc"),
        mount("/dev", "tmpfs", "mode=755"),
        mount("/dev/shm", "tmpfs", "mode=1777"),
        mount("/tmp", "tmpfs", "mode=1777"),
    ]
    if str(build).startswith(PRIVATE):
        mounts.append(
            {
                "destination": str(build),
                "type": "bind",
                "source": str(build),
                "options": ["rbind", "ro"],
            }
        )
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": 0, "gid": 0},
            "args": list(argv),
            "env": ["PATH=" + PATH],
            "cwd": "/",
            "capabilities": {kind: caps for kind in ("bounding", "effective", "permitted")},
        },
        "root": {"path": root, "readonly": True},
        "hostname": "bench",
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]
        },
    }
    where.mkdir(parents=True, exist_ok=True)
    (where / "config.json").write_text(json.dumps(config))


class Crun(Runner):
    name = title = program = "crun"

    def find(self):
        if not find("unshare"):
            self.reason = "unshare (util-linux) is not installed"
            return False
        return super().find()

    def env(self):
        """crun makes a directory of its own beside those it is told, even to say its version."""
        return ["env", f"XDG_RUNTIME_DIR={self.place.run}"]

    def version(self):
        return first_line(*self.env(), "crun", "--version")

    def outside(self):
        # crun cannot pivot_root into / itself, so the root is a bind of it. Controllers in both
        # cgroup hierarchies stop crun 1.8 even if it is told to make no cgroup; an empty tmpfs over
        # the second one, seen by crun alone, lets it start.
        script = (
            "dir=/sys/fs/cgroup/unified\n"
            "[ ! -d $dir ] || mount -t tmpfs none $dir || exit 1\n"
            'mount --rbind / "$1" && shift && exec "$@"'
        )
        root = self.place.run / "crun/root"
        root.mkdir(parents=True, exist_ok=True)
        user = [] if os.geteuid() == 0 else ["-r"]
        return [
            *self.env(),
            "unshare",
            *user,
            "-m",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
            "sh",
            str(root),
        ]

    def command(self, argv):
        where = self.place.run / "crun"
        bundle(where / "bundle", argv, str(where / "root"), self.place.build)
        return [
            "crun",
            "--root",
            str(where / "state"),
            "--cgroup-manager=disabled",
            "run",
            "-b",
            str(where / "bundle"),
            f"weir-bench-{os.getpid()}",
        ]

    def clean(self):
        shutil.rmtree(self.place.run / "crun/state", ignore_errors=True)


class Runsc(Runner):
    name, program, slow = "runsc", "runsc", True

    def find(self):
        if not super().find():
            return False
        flags = subprocess.run(["runsc", "flags"], capture_output=True, text=True, check=False)
        self.platform = "systrap" if "systrap" in flags.stdout + flags.stderr else "ptrace"
        self.title = f"runsc ({self.platform})"
        return True

    def base(self):
        rootless = [] if os.geteuid() == 0 else ["--rootless"]
        return [
            "runsc",
            *rootless,
            "--root",
            str(self.place.run / "runsc/state"),
            "--network=none",
            "--platform=" + self.platform,
            "--ignore-cgroups",
        ]

    def command(self, argv):
        where = self.place.run / "runsc"
        bundle(where / "bundle", argv, "/", self.place.build)
        return [*self.base(), "run", "-bundle", str(where / "bundle"), f"weir-bench-{os.getpid()}"]

    def clean(self):
        shutil.rmtree(self.place.run / "runsc/state", ignore_errors=True)


class Uml(Runner):
    name, title, program, slow, one_cpu = "uml", "UML", "linux.uml", True, True
    BEGIN, END = "@@weir-bench begin", "@@weir-bench end "

    def version(self):
        return "User-mode Linux " + first_line("linux.uml", "--version")

    def command(self, argv):
        where = self.place.run / "uml"
        where.mkdir(parents=True, exist_ok=True)
        (where / "job").write_text(
            "exec " + " ".join("'" + word.replace("'", "'\\''") + "'" for word in argv) + "\n"
        )
        return [
            "linux.uml",
            "mem=1G",
            "root=/dev/root",
            "rootfstype=hostfs",
            "rootflags=/",
            "ro",
            f"init={self.place.umlinit}",
            f"uml_dir={where}/",
            f"umid=weir-bench-{os.getpid()}",
            "con0=null,fd:1",
            "con=null",
            "quiet",
            "loglevel=0",
            f"BENCH_JOB={where}/job",
            f"BENCH_DIR={self.place.build}",
            *([] if self.place.no_disks else [f"ubd0r={self.place.disks / IMAGE}"]),
        ]

    def output(self, text):
        inside = text.partition(self.BEGIN)[2].partition(self.END)
        return inside[0].replace("\r", "")

    def status(self, result):
        """linux.uml exits 0 however the program ended: the real status is on the console."""
        ended = re.search(re.escape(self.END) + r"(\d+)", result.out)
        if isinstance(result.status, int):
            result.status = (
                int(ended[1]) if ended else "the kernel stopped before the program ended"
            )
        return result


def all_runners(place):
    plain = ["guest.writable=no"]
    return [
        Native(place),
        Weir(place, "hosting", "hosting", plain, "weir hosting"),
        Weir(place, "jail", "jail", plain, "weir jail"),
        Weir(place, "all-trap", "all-trap", plain, "weir all-trap"),
        Weir(place, "overlay", "hosting", [], "weir hosting, overlay root"),
        Weir(
            place,
            "unobserved",
            "hosting",
            [*plain, "sched.source=traps"],
            "weir hosting, not observed",
            OBSERVED_ROWS,
        ),
        Weir(
            place,
            "limited",
            "hosting",
            [*plain, "guest.memory=512M", "guest.vcpus=1"],
            "weir hosting, 1 CPU, 512 MiB",
            MACHINE_ROWS,
        ),
        Weir(
            place,
            "time-lab",
            "time-lab",
            [*plain, "time.realtime=+3d"],
            "weir time-lab",
            CLOCK_ROWS,
        ),
        Weir(
            place,
            "stamps",
            "time-lab",
            [*plain, "time.realtime=+3d", "time.stamps=guest"],
            "weir time-lab, stamps = guest",
            STAMP_ROWS,
        ),
        Single(place, "single", plain, "weir id-lab, guest root"),
        Single(
            place,
            "single-user",
            plain,
            "weir id-lab, a guest user",
            ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"],
        ),
        Disks(place, "disks", "hosting", plain, "weir hosting, with disks", DISK_ROWS),
        Faketime(place, "faketime", []),
        Faketime(place, "faketime-m", ["-m"]),
        Bubblewrap(place),
        Filtered(place),
        Crun(place),
        PRoot(place),
        Runsc(place),
        Uml(place),
    ]

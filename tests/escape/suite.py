# SPDX-License-Identifier: Apache-2.0
"""Suite "escape": attacks that must fail

Each program tries something and prints "FAILED what" when it got through. Where
CONTROL says so it also runs natively in fresh namespaces, where it must get
through: a test that finds nothing there would find nothing anywhere.
"""

import ctypes
import os
import pty
import re
import select
import socket
import subprocess
import threading

import harness
import terminal
from harness import Failed, Skipped, need, test

POLICIES = ("hosting", "all-trap")
EVERYWHERE = ("hosting", "all-trap", "jail")

# WEIR_TEST_FLIPS=1000000: as often do strings flip under each handler, which takes minutes each.
FLIPS = os.environ.get("WEIR_TEST_FLIPS")
PATIENCE = 7200 if FLIPS else 180

# Test: (program, arguments, policies, does it get through natively). Natively the sweeps need
# not go on once they have got through: there calls wait, which are answered at once in a guest.
ATTACKS = {
    "numbers-x86-64": ("sweep", ["x86-64"], EVERYWHERE, ["first"]),
    "numbers-i386": ("sweep", ["i386"], EVERYWHERE, ["first"]),
    "numbers-x32": ("sweep", ["x32"], EVERYWHERE, False),
    "high-halves": ("high", [], POLICIES, True),
    "halves-that-change-nothing": ("halves", [], EVERYWHERE, False),
    "af-alg": ("afalg", [], EVERYWHERE, True),
    "pi-requeue": ("pi_requeue", [], EVERYWHERE, True),
    "io-uring": ("iouring", [], EVERYWHERE, True),
    "nested-filters": ("nested", [], EVERYWHERE, True),
    "changed-by-a-tracer": ("retrace", [], EVERYWHERE, True),
    "listener": ("listener", [], POLICIES, False),
    "new-mount-api": ("newmount", [], EVERYWHERE, True),
    "new-user-namespace": ("newuser", [], EVERYWHERE, True),
    "clone-flags": ("clone_flags", [], EVERYWHERE, False),
    "setns": ("setns", [], EVERYWHERE, False),
    "tiocsti": ("tiocsti", [], EVERYWHERE, True),
    "handles": ("handle", [], EVERYWHERE, False),
    "sysctl": ("sysctl", [], EVERYWHERE, False),
    "privileged": ("privileged", [], EVERYWHERE, True),
    "bad-pointers": ("pointers", [], EVERYWHERE, False),
    "lengths": ("lengths", [], POLICIES, False),
    "signal-storm": ("storm", ["3000"], POLICIES, False),
    "exactly-once": ("exactly_once", [], POLICIES, False),
    "threads-64": ("crowd", ["64", "500"], POLICIES, False),
    "threads-1000": ("crowd", ["1000", "5"], POLICIES, False),
    "threads-10000": ("crowd", ["10000", "1"], ("hosting",), False),
    "killed-in-calls": ("crowd", ["32", "1", "killed"], POLICIES, False),
    "forks": ("exhaust", ["forks", "3000"], POLICIES, False),
    "opens": ("exhaust", ["opens"], POLICIES, False),
    "many-threads": ("exhaust", ["threads"], ("hosting",), False),
    "many-mounts": ("exhaust", ["mounts", "1000"], POLICIES, False),
    "many-nodes": ("exhaust", ["nodes"], POLICIES, False),
    "kill-everything": ("killall", [], EVERYWHERE, False),
    "thread-credentials": ("threadcreds", [], POLICIES, False),
    "fd-race": ("fdrace", ["5000"], POLICIES, False),
    "fd-peer": ("fdpeer", ["1000"], EVERYWHERE, False),
    "reopen": ("reopen", [], POLICIES, False),
    "flip-chroot": ("pathflip", ["chroot", FLIPS or "500"], POLICIES, False),
    "flip-type": ("pathflip", ["type", FLIPS or "2000"], POLICIES, False),
    "flip-target": ("pathflip", ["target", FLIPS or "10000"], POLICIES, False),
    "flip-umount": ("pathflip", ["umount", FLIPS or "10000"], POLICIES, False),
    "flip-pivot": ("pathflip", ["pivot", FLIPS or "300"], POLICIES, False),
    "flip-name": ("pathflip", ["host", FLIPS or "20000"], POLICIES, False),
}
HEAVY = {"threads-10000", "forks", "many-threads", "flip-type", "flip-target", "flip-umount", "killed-in-calls"}


def judge(result):
    lines = result.out.splitlines()
    if result.status == 77:
        raise Skipped(re.sub(r"^.*SKIP ", "", lines[-1]))
    wrong = [line for line in lines if line.startswith("FAILED")]
    if wrong:
        raise Failed("\n".join(wrong[:40]))
    if result.status != 0:
        raise Failed(result.text())


def attack(program, args, control, user=False):
    def run(case):
        path = case.ctx.program("escape/" + program)
        if user:
            judge(case.run(case.ctx.program("escape/asuser"), path, *args, timeout=PATIENCE))
            return
        if control and case.policy == "hosting":
            native = case.reference(path, *args, *(control if isinstance(control, list) else []), timeout=120)
            if "FAILED" not in native.out:
                raise Failed("gets through nowhere, not even natively: the test is blind\n" + native.text())
        judge(case.run(path, *args, timeout=PATIENCE))

    return run


for name, (program, args, policies, control) in ATTACKS.items():
    harness.add("escape", name, attack(program, args, control), policies=policies,
                serial=name in HEAVY, programs=["escape/" + program])


# What only guest root can begin at all, or what compares with what only it can do.
NEEDS_ROOT = {"listener", "lengths", "signal-storm", "threads-64", "threads-1000", "opens", "thread-credentials",
              "fd-race", "reopen", "flip-chroot", "flip-name", "flip-pivot"}

# Where the guest kernel keeps users, it does most calls with paths: again there, by guest root and by a user.
SINGLE = ("bad-pointers", "lengths", "high-halves", "exactly-once", "killed-in-calls", "numbers-x86-64",
          "halves-that-change-nothing",
          "fd-peer", "clone-flags")
for name in SINGLE:
    program, args, _, _ = ATTACKS[name]
    for user in (False, True):
        if not (user and name in ("lengths", "killed-in-calls", "clone-flags")):
            harness.add("escape", ("single-user-" if user else "single-") + name, attack(program, args, False, user),
                        users=("user", "single"), policies=("id-lab",), serial=name in HEAVY,
                        programs=["escape/" + program, "escape/asuser"])

# The rest again, by a user of the guest.
for name, (program, args, policies, _) in ATTACKS.items():
    if name not in HEAVY | NEEDS_ROOT:
        harness.add("escape", "user-" + name, attack(program, args, False, True), policies=("hosting", "jail"),
                    programs=["escape/" + program, "escape/asuser"])


def outside_stays_empty(case, *args):
    """Run pathflip with a directory of the host that anyone may write; nothing may appear there."""
    outside = case.directory(0o777)
    os.chmod(outside, 0o777)
    judge(case.program("escape/pathflip", *args, outside, timeout=PATIENCE))
    left = os.listdir(outside)
    if left:
        raise Failed(f"on the host appeared {len(left)} files, such as {left[:5]}")


@test("escape", policies=POLICIES, serial=True, programs=["escape/pathflip"])
def flip_mknod(case):
    outside_stays_empty(case, "mknod", FLIPS or 20000)


@test("escape", policies=POLICIES, serial=True, programs=["escape/pathflip"])
def flip_link(case):
    outside_stays_empty(case, "link", FLIPS or 1000)


@test("escape", policies=EVERYWHERE, programs=["escape/mounts"])
def mounts(case):
    target = case.write(os.path.join(case.directory(0o777), "file"), "untouched", 0o666)
    before = harness.mount_lines()
    judge(case.program("escape/mounts", target))
    with open(target) as f:
        case.equal("a file of the host, written from inside", f.read(), "untouched")
    case.equal("the host's mounts", harness.mount_lines(), before)


@test("escape", policies=EVERYWHERE, programs=["escape/strangers"])
def strangers(case):
    pids = [os.getpid(), os.getppid(), *[p for p in harness.processes() if p > 300][:20]]
    judge(case.program("escape/strangers", *pids))


@test("escape", policies=("hosting", "jail"), programs=["escape/abstract"])
def abstract_socket(case):
    name = "weir-test-" + case.ctx.unique()
    unix = socket.socket(socket.AF_UNIX)
    inet = socket.socket(socket.AF_INET)
    with unix, inet:
        unix.bind("\0" + name)
        unix.listen()
        inet.bind(("127.0.0.1", 0))
        inet.listen()
        judge(case.program("escape/abstract", name, inet.getsockname()[1]))


@test("escape", policies=EVERYWHERE, users=("root", "user", "single"), programs=["escape/control"])
def control_socket(case):
    name = case.ctx.unique()
    judge(case.run(case.ctx.program("escape/control"), case.user.state_dir(), name, name=name))


@test("escape", users=("root",), policies=POLICIES, serial=True,
      programs=["escape/slowfs", "escape/slowmem"])
def slow_memory(case):
    """Calls whose arguments never come hold up nobody else.

    The host lets nobody end who waits for a FUSE server that has begun to answer, the
    guest kernel neither: so its pages come in the end (doc/caveats.md).
    """
    d = case.directory()
    fs = subprocess.Popen([case.ctx.program("escape/slowfs"), d], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          start_new_session=True)

    case.cleanups.append(lambda: (fs.stdin.close(), fs.wait(20), fs.stdout.close()))
    said = fs.stdout.readline().decode()
    if said.startswith("SKIP"):
        raise Skipped(said[5:].strip())
    case.equal("the file system", said, "mounted\n")
    with open(os.path.join(d, "page")) as page:
        p = case.start(case.ctx.program("escape/slowmem"), stdin=page)
    case.cleanups.append(fs.stdin.close)	# before the guest is stopped
    case.equal("beside them", p.stdout.readline(), b"ok calls of others are answered\n")
    fs.stdin.close()
    case.equal("status", p.wait(30), 0)


def on_a_terminal(case, argv):
    """Run a command with a pty of ours as its three descriptors."""
    master, slave = pty.openpty()
    os.fchmod(slave, 0o666)
    p = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=case.user.env(), cwd="/",
                         start_new_session=True, **case.user.popen_ids())
    case.cleanups.append(lambda: harness.stop_popen(p))
    os.close(slave)
    text = b""
    try:
        while data := os.read(master, 4096):
            text += data
    except OSError:	# EIO: the other side is closed
        pass
    os.close(master)
    return harness.Result(argv, p.wait(30), text.decode(errors="replace").replace("\r\n", "\n"), "", 0)


# -- descriptors, in every way into a guest -------------------------------


@test("escape", policies=EVERYWHERE, programs=["escape/fds"])
def descriptors_with_pipes(case):
    judge(case.program("escape/fds", stdin=""))


@test("escape", programs=["escape/fds"])
def descriptors_with_files(case):
    with open("/dev/null") as f:
        judge(case.program("escape/fds", stdin=f))


@test("escape", programs=["escape/fds"])
def descriptors_inherited_by_weir(case):
    """weir is started with a directory and a file of the host's open."""
    name = case.ctx.unique()
    argv = case.run_argv([case.ctx.program("escape/fds")], name=name)
    judge(case.command(["/bin/sh", "-c", 'exec "$@" 7</ 8</etc/passwd 9>/dev/null', "sh", *argv]))


@test("escape", programs=["escape/fds"])
def descriptors_with_a_terminal(case):
    judge(on_a_terminal(case, case.run_argv([case.ctx.program("escape/fds")])))


@test("escape", programs=["escape/fds"])
def descriptors_by_exec(case):
    name = case.detached("/bin/sleep", "60")
    judge(case.weir("exec", name, "--", case.ctx.program("escape/fds")))


@test("escape", programs=["escape/fds"])
def descriptors_by_exec_of_weir_with_open_files(case):
    name = case.detached("/bin/sleep", "60")
    argv = [case.ctx.weir, "exec", name, "--", case.ctx.program("escape/fds")]
    judge(case.command(["/bin/sh", "-c", 'exec "$@" 7</ 8</etc/passwd', "sh", *argv]))


@test("escape", programs=["escape/fds"])
def descriptors_when_detached(case):
    """What the detached guest's program finds, seen through a directory both can reach."""
    name = case.detached("/bin/sh", "-c", f"{case.ctx.program('escape/fds')} >/tmp/found 2>&1; echo $? >>/tmp/found; sleep 60")
    got = harness.wait_until(
        lambda: (lambda r: r.out if re.search(r"^\d+$", r.out, re.M) else "")(
            case.weir("exec", name, "--", "/bin/cat", "/tmp/found")))
    wrong = [line for line in got.splitlines() if line.startswith("FAILED")]
    if wrong or not got:
        raise Failed(got or "nothing was written")


@test("escape", users=("root", "user", "single"), policies=EVERYWHERE, programs=["escape/fds"])
def descriptors_by_console(case):
    """weir console joins a terminal to a program that runs: it brings nothing with it, while it is there or after."""
    fds = case.ctx.program("escape/fds")
    name = case.detached("/bin/sh", "-c", f"while read line; do {fds}; echo status=$?; done; sleep 1000")
    argv = [case.ctx.weir, "console", name]
    for _ in range(2):
        t = terminal.Terminal(case, ["/bin/sh", "-c", 'exec "$@" 7</ 8</etc/passwd 9</proc/self/ns/net', "sh", *argv], 24, 80)
        t.type("look\r")
        text = b""
        while not re.search(rb"status=\d+\r?\n", text):
            if not select.select([t.master], [], [], 30)[0]:
                raise Failed(f"nothing came from the console: {text!r}")
            text += os.read(t.master, 4096)
        wrong = [line for line in text.decode(errors="replace").splitlines() if line.startswith("FAILED")]
        case.equal(f"what the program found\n{text!r}", (wrong, b"status=0" in text), ([], True))
        t.type("\x1d")
        case.equal("weir console, left by Ctrl-]", t.p.wait(30), 0)


@test("escape", policies=EVERYWHERE, programs=["escape/tiocsti"])
def tiocsti_on_the_terminal(case):
    """The guest is started on a terminal of ours; nothing it does types into it."""
    judge(on_a_terminal(case, case.run_argv([case.ctx.program("escape/tiocsti")])))


# -- links that change places while the guest kernel works beneath them --------

RENAME_EXCHANGE = 2


class Swapper:
    """A thread that exchanges pairs of names of a directory until the end of the with block."""

    def __init__(self, directory, pairs):
        self.fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self.pairs, self.stop, self.swaps = pairs, threading.Event(), 0
        self.thread = threading.Thread(target=self.run)
        self.call = ctypes.CDLL(None, use_errno=True).renameat2

    def run(self):
        while not self.stop.is_set():
            for a, b in self.pairs:
                self.swaps += self.call(self.fd, a.encode(), self.fd, b.encode(), RENAME_EXCHANGE) == 0

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        os.close(self.fd)


@test("escape", users=("root", "user"), serial=True)
def boot_from_a_root_whose_directories_change(case):
    """Where the guest's /dev, /proc, /run ... are to be mounted, links lead out of the root half of the time."""
    places = ("dev", "proc", "run", "sys", "tmp")
    root, outside = case.busybox_root(), case.directory(0o777)
    os.chmod(outside, 0o777)
    for i, name in enumerate(places):
        os.symlink(outside if i % 2 else os.path.relpath(outside, root), os.path.join(root, "link-" + name))
    before, booted = harness.mount_lines(), 0
    for name in places:
        with Swapper(root, [(name, "link-" + name)]) as swapper:
            for _ in range(10):
                r = case.command([case.ctx.weir, "run", "-p", "hosting", "-r", root, "--", "/sh", "-c", "exit 7"],
                                 cwd="/")
                if r.status not in (7, 125, 126, 127):
                    raise Failed(r.text())
                booted += r.status == 7
        case.true("names changed places", swapper.swaps > 0)
    case.note(f"{booted} of {len(places) * 10} booted")
    case.equal("outside", os.listdir(outside), [])
    case.equal("the host's mounts", harness.mount_lines(), before)


@test("escape", users=("user", "single"), serial=True)
def boot_from_a_root_whose_small_files_change(case):
    """A root with mounts below is split for an ordinary user, its small files copied and the others bound: links out of it,
    pipes and files without end take their places meanwhile."""
    if os.getuid() != 0:
        raise Skipped("only root can mount something below the root")
    root, outside = case.busybox_root("sub"), case.directory(0o755)
    case.write(os.path.join(outside, "secret"), "outside\n")
    names = [f"f{i}" for i in range(12)]
    for name in names:	# the last ones are too long to be copied: they are mounts
        case.write(os.path.join(root, name), "inside\n" + "x" * (65536 if name > "f6" else 0))
    os.symlink("../../../../../../../.." + outside + "/secret", os.path.join(root, "link"))
    os.mkfifo(os.path.join(root, "pipe"))
    case.write(os.path.join(root, "long"), "x" * (8 << 20))
    for name in ("pipe", "long", "link"):
        os.chown(os.path.join(root, name), case.user.uid, case.user.gid, follow_symlinks=False)
    # In a mount namespace that ends with its command, and by the user.
    start = ["unshare", "--mount", "/bin/sh", "-c", 'mount -t tmpfs none "$1" && shift && exec setpriv "$@"', "sh",
             os.path.join(root, "sub"), "--reuid", str(case.user.uid), "--regid", str(case.user.gid), "--clear-groups", "--"]
    look = 'for f in ' + " ".join("/" + n for n in names) + '; do [ -f $f ] && read -n 7 x <$f && echo "$x"; done; exit 7'
    argv = [*start, case.ctx.weir, "run", "-p", "hosting", "-r", root, "--set", "guest.writable=overlay", "--", "/sh", "-c"]
    mounts = case.command([*argv, "while read line; do echo $line; done </proc/self/mountinfo"], cwd="/", ids={})
    case.matches("the root is split", mounts.out, r" \S+ / \S+ .*- tmpfs ")
    said, booted = set(), 0
    for other in ("link", "pipe", "long"):
        with Swapper(root, [(n, other) for n in names]) as swapper:
            for _ in range(10):
                r = case.command([*argv, look], cwd="/", ids={})
                if r.status not in (7, 125, 126, 127):
                    raise Failed(r.text())
                booted += r.status == 7
                said.update(r.out.split())
        case.true("names changed places", swapper.swaps > 0)
    case.note(f"{booted} of 30 booted")
    case.true("it boots at all", booted)
    case.true(f"what was in the files: {said}", "inside" in said and "outside" not in said)


@test("escape", users=("root", "user"), serial=True)
def exec_of_a_path_that_changes(case):
    """A link of the guest's changes while weir exec goes through it: never to a program of the host's."""
    root, outside = case.busybox_root("in"), case.directory(0o755)
    for where, word in ((os.path.join(root, "in"), "inside"), (outside, "outside")):
        case.write(os.path.join(where, "prog"), f"#!/sh\necho {word}\n", 0o755)
    os.chown(os.path.join(root, "in/prog"), case.user.uid, case.user.gid)
    os.symlink("in", os.path.join(root, "cur"))
    os.symlink("../../../../../../../.." + outside, os.path.join(root, "other"))
    name = case.ctx.unique()
    case.cleanups.append(lambda: case.weir("kill", name))
    case.status(case.command([case.ctx.weir, "run", "-d", "-n", name, "-p", "hosting", "-r", root, "--", "/sh", "-c",
                              "while :; do sleep 1000; done"], cwd="/"), 0)
    said = set()
    with Swapper(root, [("cur", "other")]):
        for _ in range(60):
            said.add(case.weir("exec", name, "--", "/cur/prog").out.strip())
    case.true(f"what was run: {said}", "inside" in said and said <= {"inside", ""})


# -- exec into a guest under attack ----------------------------------------


@test("escape", users=("root", "user"), serial=True)
def exec_while_attached_to(case):
    """A guest that tries to trace whatever enters it gains nothing, and the entries go on."""
    # What it seizes (0x4206) it interrupts (0x4207), waits for (__WALL) and lets go (17).
    script = """
import ctypes, os
ptrace = ctypes.CDLL(None).ptrace
while True:
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) in (1, os.getpid()):
            continue
        pid = int(name)
        if ptrace(0x4206, pid, 0, 0) == 0:
            ptrace(0x4207, pid, 0, 0)
            try:
                os.waitpid(pid, 0x40000000)
            except OSError:
                pass
            ptrace(17, pid, 0, 0)
        try:
            os.open(f"/proc/{name}/exe", os.O_WRONLY)
            print("FAILED opened", name, flush=True)
        except OSError:
            pass
"""
    need("python3")
    name = case.detached("/usr/bin/python3", "-c", script)
    lost = 0
    for _ in range(50):
        r = case.weir("exec", name, "--", "/bin/true", timeout=20)
        lost += r.status != 0
    case.equal("entries that failed", lost, 0)

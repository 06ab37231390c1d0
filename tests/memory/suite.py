# SPDX-License-Identifier: Apache-2.0
"""Suite "memory": a guest has the memory it was given, grows, shrinks and gives back

The truth is the host's: the guest's group (its path is in the state directory) or,
under a strict budget, the sizes of its processes in /proc.
"""

import json
import os
import re
import shutil
import signal
import subprocess

import fuse_dev
import harness
from harness import Failed, Skipped, test, wait_until

MIB = 1 << 20
NO_CGROUP = {"WEIR_TEST_MASK": "cgroup2,cgroup1"}


def may_limit():
    """Who may have a group with a memory limit: root wherever these tests run, a user by delegation."""
    try:
        with open("/proc/self/cgroup") as f:
            own = re.search(r"(?m)^0::(.*)$", f.read()).group(1)
    except (OSError, AttributeError):
        return ("root",)
    # Its parent is where the guests' groups go: ours has processes.
    return ("root", "user") if os.getuid() and os.access(f"/sys/fs/cgroup{os.path.dirname(own)}", os.W_OK) else ("root",)


BY_GROUP = may_limit()
PROGRAMS = ("memory/eat",)


def memory(size, *more):
    return ["--set", f"guest.memory={size}", *more]


class Guest:
    """A detached guest of so much memory that sleeps."""

    def __init__(self, case, size="256M", options=()):
        self.case = case
        self.name = case.detached("sleep", "600", options=memory(size, *options))

    def sh(self, script, status=0):
        r = self.case.weir("exec", self.name, "--", "/bin/sh", "-c", script)
        self.case.status(r, status)
        return r.out

    def mem(self, *args, status=0):
        r = self.case.weir("mem", "--json", self.name, *args)
        self.case.status(r, status)
        return json.loads(r.out)

    def stats(self):
        return self.case.stats(self.name)["memory"]

    def group(self):
        """The directory of the group that counts its memory."""
        with open(os.path.join(self.case.user.state_dir(), self.name, "cgroup")) as f:
            for path in f.read().split("\n"):
                for name in ("memory.current", "memory.usage_in_bytes"):
                    if path and os.path.exists(os.path.join(path, name)):
                        return path, name
        raise Skipped("no group counts memory here")

    def used(self):
        with open(os.path.join(*self.group())) as f:
            return int(f.read())

    def limit(self):
        path, name = self.group()
        with open(os.path.join(path, "memory.max" if name == "memory.current" else "memory.limit_in_bytes")) as f:
            return int(f.read())

    def lent_limit(self):
        """What it may use now: v2 has what is lent in memory.high."""
        path, name = self.group()
        if name != "memory.current":
            return self.limit()
        with open(os.path.join(path, "memory.high")) as f:
            high = f.read().strip()
        return self.limit() if high == "max" else min(int(high), self.limit())

    def fill_cache(self, mib):
        """Page cache that only this guest has: a file of the test's own, read inside."""
        path = os.path.join(self.case.directory(), "data")
        with open(path, "wb") as f:
            for _ in range(mib):
                f.write(os.urandom(MIB))
        for _ in range(10):
            # It is in the cache on the test's account until the host has let go of it.
            with open(path, "rb") as f:
                os.fsync(f.fileno())
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            before = self.used()
            self.sh(f"cat {path} >/dev/null")
            if self.used() >= min(before + mib * MIB * 0.9, self.limit() * 0.9):
                return path
        raise Failed("what the guest reads is not on its account")


def start_weir(case, *args):
    """A weir command in the background; it is killed when the test ends."""
    p = subprocess.Popen([case.ctx.weir, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, env=case.user.env(), cwd="/", start_new_session=True,
                         **case.user.popen_ids())

    def end():
        # Tasks of the guest may hold the other ends of the pipes.
        p.kill()
        p.wait()
        for f in (p.stdin, p.stdout, p.stderr):
            f.close()

    case.cleanups.append(end)
    return p


def near(case, what, got, want, slack):
    case.true(f"{what}: {got / MIB:.1f} MiB, not within {slack / MIB:.0f} of {want / MIB:.1f}",
              abs(got - want) <= slack)


def eat(case, guest, *args):
    """eat in a guest that runs, until it is ready: the Popen and how many MiB it has."""
    p = start_weir(case, "exec", guest.name, "--", case.ctx.program("memory/eat"), *args)
    line = p.stdout.readline().split()
    if line[:1] != [b"ready"]:
        raise Failed(f"eat {args}: not ready: {line} {p.stderr.read().decode()}")
    return p, int(line[1])


def say(p):
    p.stdin.write(b"\n")
    p.stdin.flush()


# -- a group counts ----------------------------------------------------------


@test("memory", users=BY_GROUP, programs=PROGRAMS)
def what_was_freed_is_back_at_the_host(case):
    guest = Guest(case, "512M")
    guest.sh("true")
    before = guest.used()
    p, got = eat(case, guest, "400")
    case.equal("allocated", got, 400)
    full = guest.used()
    case.true(f"the host counts it ({full >> 20} MiB)", full >= 400 * MIB)
    say(p)
    case.equal("freed", p.stdout.readline(), b"freed\n")
    wait_until(lambda: full - guest.used() >= (full - before) * 0.95)
    case.true("at least 95 % is back", full - guest.used() >= (full - before) * 0.95)


@test("memory", users=BY_GROUP, programs=PROGRAMS)
def out_of_memory_ends_a_task_of_this_guest_only(case):
    guest, other = Guest(case, "64M"), Guest(case, "64M")
    q, got = eat(case, other, "30")
    r = case.weir("exec", guest.name, "--", case.ctx.program("memory/eat"), "100")
    case.status(r, 137)
    wait_until(lambda: "out of memory" in case.weir("log", guest.name).out)
    case.matches("log", case.weir("log", guest.name).out, r"memory: out of memory: the host killed 1 task")
    case.equal("kills", guest.stats()["oom_kills"], 1)
    case.equal("kills of the other", other.stats()["oom_kills"], 0)
    say(q)
    case.equal("the other goes on", q.stdout.readline(), b"freed\n")
    guest.sh("true")


@test("memory", users=BY_GROUP)
def unplugged_memory_is_seen_at_once(case):
    guest = Guest(case)
    guest.fill_cache(150)
    case.true("the cache is the guest's", guest.used() > 150 * MIB)
    got = guest.mem("unplug", "128M")
    case.equal("got", got["work"]["got_bytes"], 128 * MIB)
    case.equal("limit", got["limit_bytes"], 128 * MIB)
    case.equal("unplugged", guest.stats()["unplugged_bytes"], 128 * MIB)
    case.equal("the group's limit", guest.limit(), 128 * MIB)
    case.true("and what it holds", guest.used() <= 128 * MIB)
    for size, action in ((128, None), (192, "plug")):
        if action:
            guest.mem(action, "64M")
        case.matches("meminfo", guest.sh("cat /proc/meminfo"), rf"MemTotal: +{size * 1024} kB")
        case.equal("sysconf", guest.sh("getconf _PHYS_PAGES").strip(), str(size * 256))
        case.matches("sysinfo", guest.sh("busybox free -m || free -m"), rf"Mem: +{size}\b")
    case.equal("the group's limit", guest.limit(), 192 * MIB)


@test("memory", users=BY_GROUP)
def nothing_is_taken_below_the_floor(case):
    guest = Guest(case, options=["--set", "memory.floor=48M"])
    r = case.weir("mem", guest.name, "unplug", "500M")
    case.status(r, 1)
    case.matches("why", r.err, "^weir: mem: not all of it: floor$")
    case.equal("limit", guest.limit(), 48 * MIB)
    case.matches("it goes on", guest.sh("echo works; cat /proc/meminfo"), rf"(?s)works.*MemTotal: +{48 * 1024} kB")
    case.equal("kills", guest.stats()["oom_kills"], 0)


@test("memory", users=BY_GROUP, programs=PROGRAMS)
def what_tasks_have_written_is_not_taken(case):
    guest = Guest(case)
    p, _ = eat(case, guest, "150")
    got = guest.mem("unplug", "200M", status=1)
    case.equal("why", got["work"]["why"], "floor")
    case.true("what is left holds it", 150 * MIB < guest.limit() < 200 * MIB)
    case.equal("said and so", guest.limit(), 256 * MIB - got["work"]["got_bytes"])
    say(p)
    case.equal("the task lives", p.stdout.readline(), b"freed\n")
    case.equal("kills", guest.stats()["oom_kills"], 0)


@test("memory", users=BY_GROUP)
def a_deadline_that_is_over_changes_nothing(case):
    guest = Guest(case)
    guest.fill_cache(60)
    before = guest.used()
    for args in (("unplug", "128M"), ("release", "40M")):
        got = guest.mem(*args, "--deadline", "1ns", status=1)
        case.equal(args[0], (got["work"]["got_bytes"] // MIB, got["work"]["why"]), (0, "deadline"))
    case.equal("limit", guest.limit(), 256 * MIB)
    near(case, "used", guest.used(), before, 4 * MIB)


@test("memory", users=BY_GROUP)
def released_is_what_the_host_has_back(case):
    guest = Guest(case)
    guest.fill_cache(150)
    before = guest.used()
    got = guest.mem("release", "64M", "--clean")
    near(case, "got", got["work"]["got_bytes"], before - guest.used(), 2 * MIB)
    case.true("all of it", got["work"]["got_bytes"] >= 64 * MIB)
    case.equal("limit", guest.limit(), 256 * MIB)
    # What the host's pressure has it release meanwhile counts, too.
    case.true("released", guest.stats()["released_bytes"] >= got["work"]["got_bytes"])
    got = guest.mem("release", "1G", status=1)
    case.true("why", got["work"]["why"] in ("floor", "nothing left"))
    case.true("there is little left", got["more"]["clean_bytes"] + got["more"]["dirty_bytes"] < 48 * MIB)
    case.equal("kills", guest.stats()["oom_kills"], 0)


@test("memory", users=BY_GROUP)
def memory_is_taken_while_it_is_written(case):
    guest = Guest(case)
    path = guest.fill_cache(100)
    p = start_weir(case, "exec", guest.name, "--", "/bin/sh", "-c",
                        f"echo go; i=0; while [ $i -lt 8 ]; do cp {path} /var/tmp/copy && cmp {path} /var/tmp/copy || exit 3; "
                        "rm /var/tmp/copy; i=$((i+1)); done; echo done")
    case.equal("begun", p.stdout.readline(), b"go\n")
    for _ in range(10):
        r = case.weir("mem", "--json", guest.name, "release", "32M")
        case.true("an answer", "got_bytes" in r.out)
    case.equal("the copies are right", p.stdout.read(), b"done\n")
    case.equal("kills", guest.stats()["oom_kills"], 0)


@test("memory", users=BY_GROUP, serial=True)
def pressure_on_the_host_has_caches_released(case):
    if not os.path.exists("/proc/pressure/memory"):
        raise Skipped("the host tells nothing of its pressure")
    guest, off = Guest(case), Guest(case, options=["--set", "memory.release=off"])
    guest.fill_cache(120)
    off.fill_cache(20)
    case.equal("nobody is asked yet", guest.stats()["released_bytes"], 0)
    # A guest that has too little for what it reads again and again makes the host wait.
    small = Guest(case, "24M")
    path = small.fill_cache(120)
    big = start_weir(case, "exec", small.name, "--", "/bin/sh", "-c", f"while :; do cat {path} >/dev/null; done")
    wait_until(lambda: guest.stats()["released_bytes"] > 0, 30)
    big.kill()
    case.true("released", guest.stats()["released_bytes"] > 0)
    case.equal("pressure", guest.stats()["pressure"], "some")
    case.equal("release = off", (off.stats()["released_bytes"], off.stats()["pressure"]), (0, "unknown"))


def waited(text):
    """What tasks have waited for memory, in us."""
    return int(re.search(r"(?m)^some .*total=(\d+)$", text).group(1))


@test("memory", users=BY_GROUP, serial=True, programs=("memory/listen",))
def pressure_is_told_inside(case):
    """A guest in a v2 group has pressure of its own, to read and to poll; another at rest has none."""
    guest, other = Guest(case, "24M"), Guest(case, "64M")
    path, name = guest.group()
    if name != "memory.current":
        raise Skipped("a v1 group does not tell its pressure")
    at_rest = waited(other.sh("cat /proc/pressure/memory"))
    listener = start_weir(case, "exec", guest.name, "--", case.ctx.program("memory/listen"))
    first = listener.stdout.readline().decode().strip()
    # Before Linux 6.4 a trigger needs CAP_SYS_RESOURCE of the host.
    case.matches("a trigger", first, r"^(ready|refused E(PERM|ACCES))$")
    file = guest.fill_cache(120)
    reader = start_weir(case, "exec", guest.name, "--", "/bin/sh", "-c", f"while :; do cat {file} >/dev/null; done")
    told = wait_until(lambda: waited(guest.sh("cat /proc/pressure/memory")) > 100000, 60)
    case.true("who waits sees it", told)
    with open(os.path.join(path, "memory.pressure")) as f:
        case.true("it is what the host counts", waited(f.read()) > 100000)
    if first == "ready":
        case.equal("poll", listener.stdout.readline(), b"pressure\n")
    reader.kill()
    case.true("the other saw none of it", waited(other.sh("cat /proc/pressure/memory")) - at_rest < 100000)


@test("memory", users=BY_GROUP)
def half_of_it_is_a_tmpfs(case):
    guest = Guest(case)
    guest.sh("mkdir /mnt/a /mnt/b && mount -t tmpfs a /mnt/a && mount -t tmpfs -o size=200M b /mnt/b")
    out = guest.sh("for d in /dev/shm /run / /mnt/a /mnt/b; do stat -f -c '%S %b' $d; done")
    sizes = [int(a) * int(b) // MIB for a, b in (line.split() for line in out.splitlines())]
    case.equal("sizes", sizes, [128, 128, 128, 128, 200])


# -- nobody counts but weir ----------------------------------------------------


def strict(size="256M", *more):
    return memory(size, "--set", "memory.budget=strict", *more)


def games(size):
    def run(case):
        # 70,000 calls that stop: half a second, but minutes in an emulator.
        r = case.program("memory/games", size, options=strict(f"{size}M"), timeout=300)
        case.status(r, 0)
        case.true("something was checked", r.out.count("ok ") > 15 and "FAILED" not in r.out)

    return run


for size in (64, 256):
    harness.add("memory", f"strict-games-{size}", games(size), users=("root", "user", "single"),
                programs=("memory/games",))


@test("memory", users=("root", "user"), programs=PROGRAMS)
def without_a_cgroup_the_budget_is_strict(case):
    r = case.program("memory/eat", "500", options=memory("128M"), env=NO_CGROUP)
    case.status(r, 0)
    got = int(re.match(r"ready (\d+)", r.out).group(1))
    case.true(f"{got} of 128 MiB", 100 <= got < 128)
    r = case.run("true", options=memory("128M", "--set", "memory.budget=cgroup"), env=NO_CGROUP)
    case.one_line_error(r, 125, "cgroup: limits cannot be kept: memory")


def anonymous(case, guest):
    """What the guest's processes have of their own, each page once."""
    kernel = case.kernel_pid(guest)
    total = 0
    for pid in harness.descendants(kernel):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += sum(int(n) << 10 for n in re.findall(r"(?m)^Pss_Anon: +(\d+) kB", f.read()))
        except OSError:
            pass
    return total


@test("memory", users=("root",), programs=PROGRAMS)
def strict_holds_against_a_fork_bomb(case):
    name = case.detached("sleep", "600", options=strict("128M"))
    p = start_weir(case, "exec", name, "--", case.ctx.program("memory/eat"), "20", "bomb")
    case.matches("all children are through", p.stdout.readline().decode(), "ready 40")
    used = anonymous(case, name)
    case.true(f"the host counts {used >> 20} of 128 MiB", 60 * MIB < used <= 128 * MIB)
    p.kill()
    case.true("when it has ended there is room again",
              wait_until(lambda: case.weir("exec", name, "--", "/bin/true").status == 0, 20))


@test("memory", users=("root", "user"), programs=("memory/bss",))
def strict_ends_what_brings_too_much_along(case):
    name = case.detached("sleep", "600", options=strict("200M"))
    first = start_weir(case, "exec", name, "--", case.ctx.program("memory/bss"), "100")
    case.matches("the first", first.stdout.readline().decode(), "ready")
    second = start_weir(case, "exec", name, "--", case.ctx.program("memory/bss"), "150")
    # Killed when it is seen; or it gets no memory at its first call, if it was seen before that.
    status = second.wait(20)
    case.true(f"the second ends, {status}", status != 0)
    log = case.weir("log", name).out
    if status == 137:
        case.matches("log", log, r"memory: out of memory: killed host process \d+ \(bss\), anon-rss:\d+kB, of 204800kB")
    else:
        case.true("it was refused memory", case.stats(name)["memory"]["refused_calls"] > 0)
    case.equal("the first goes on", first.poll(), None)
    say(first)
    case.matches("the first lives", first.stdout.readline().decode(), "freed")
    r = case.program("memory/bss", "150", options=strict("100M"))
    case.true("what is larger than all memory does not start", r.status in (137, 139, 126))


@test("memory", users=("root", "user"))
def strict_tmpfs_is_bounded(case):
    r = case.shell("mkdir /mnt/a && mount -t tmpfs -o size=100M a /mnt/a && stat -f -c '%S %b' /mnt/a /dev/shm;"
                   "mount -t ramfs r /mnt/a; echo $?", options=strict("128M"))
    case.status(r, 0)
    lines = r.out.split("\n")
    case.equal("sizes", [int(a) * int(b) // MIB for a, b in (line.split() for line in lines[:2])], [16, 16])
    case.true("no ramfs", lines[2] != "0")


@test("memory", users=("root", "user"), programs=PROGRAMS)
def strict_grows_and_shrinks(case):
    name = case.detached("sleep", "600", options=strict("256M"))
    guest = Guest.__new__(Guest)
    guest.case, guest.name = case, name
    case.equal("got", guest.mem("unplug", "128M")["work"]["got_bytes"], 128 * MIB)
    case.matches("meminfo", guest.sh("cat /proc/meminfo"), rf"MemTotal: +{128 * 1024} kB")
    p, got = eat(case, guest, "300")
    case.true(f"{got} of 128 MiB", 100 <= got < 128)
    got = guest.mem("unplug", "64M", status=1)
    case.equal("why", got["work"]["why"], "floor")
    say(p)
    case.equal("freed", p.stdout.readline(), b"freed\n")
    case.equal("got", guest.mem("unplug", "32M")["work"]["got_bytes"], 32 * MIB)
    guest.mem("plug", "100M")
    r = case.weir("mem", name, "plug", "200M")
    case.one_line_error(r, 1, "cannot have more than the 256M it began with")
    case.equal("budget", guest.stats()["budget"], "strict")


# -- the command, and merging ----------------------------------------------------


@test("memory", users=("root", "user"))
def what_cannot_be_asked(case):
    name = case.detached("sleep", "600")
    for args, status, pattern in (
            ((name, "unplug", "10M"), 1, "no limit of its own; start it with --set guest.memory=512M"),
            ((name, "unplug"), 2, "unplug what\\? write a size such as 64M"),
            ((name, "unplug", "much"), 2, "write a size of at least 4K"),
            ((name, "shrink", "10M"), 2, "no such action; write show, plug, unplug or release"),
            ((name, "plug", "10M", "--clean"), 2, "--clean is for release only"),
            ((name, "release", "10M", "--deadline", "soon"), 2, "write a duration such as 500ms"),
            (("nobody-here",), 1, "no guest named nobody-here runs"),
    ):
        case.one_line_error(case.weir("mem", *args), status, pattern)
    case.matches("show", case.weir("mem", name).out, "^limit +none: the memory is the host's\n")


@test("memory", users=("root", "user"))
def all_guests_are_listed(case):
    names = [case.detached("sleep", "600") for _ in range(2)]
    r = case.weir("mem", "--all", "--json")
    case.status(r, 0)
    rows = {row["guest"]: row["processes"] for row in json.loads(r.out)}
    for name in names:
        case.true("has unique and shared memory", 0 < rows[name]["unique_bytes"] < rows[name]["shared_bytes"] * 10)
    case.matches("as text", case.weir("mem", "--all").out, rf"(?m)^{re.escape(names[0])} ")


@test("memory", users=("root", "user"), programs=("memory/merged",))
def merge_opens_memory_to_ksm(case):
    r = case.program("memory/merged", options=["--set", "memory.merge=yes"])
    if r.status == 125 and "needs Linux 6.4" in r.err:
        raise Skipped("the host has no PR_SET_MEMORY_MERGE")
    case.equal("merged", (r.status, r.out), (0, "merge: 1\nmerge: 1\n"))
    case.equal("not merged", case.program("memory/merged").out, "merge: 0\nmerge: 0\n")


# -- the broker -------------------------------------------------------------------


class Broker:
    """weir memd of the test's user: all guests of the user are in it, so these tests run alone."""

    def __init__(self, case, budget, *options):
        self.case = case
        self.process = start_weir(case, "memd", "--budget", budget, "--interval", "100ms", "--idle", "500ms", *options)
        self.wait(lambda all: True)

    def status(self):
        r = self.case.weir("memd", "--json", "status")
        return json.loads(r.out) if r.status == 0 else None

    def guests(self):
        return {g["guest"]: g for g in (self.status() or {"guests": []})["guests"]}

    def wait(self, condition, what="the broker runs"):
        """Until condition(guests by name) holds."""
        def holds():
            status = self.status()
            return status and condition({g["guest"]: g for g in status["guests"]})

        if not wait_until(holds, 40):
            raise Failed(f"{what}: never so; now {self.status()}")


def limits(guests, *names):
    return [guests[n]["limit_bytes"] if n in guests else 0 for n in names]


def near_all(got, want):
    """But for what is not worth moving, a 32nd."""
    return len(got) == len(want) and all(abs(a - b) <= b / 16 for a, b in zip(got, want))


@test("memory", users=BY_GROUP, serial=True)
def broker_gives_the_busy_what_the_idle_have(case):
    pair = [Guest(case), Guest(case)]
    names = [g.name for g in pair]
    broker = Broker(case, "256M")
    broker.wait(lambda g: near_all(limits(g, *names), [128 * MIB] * 2), "both idle, both the same")
    # One for each: a page is charged to the guest that reads it first.
    files = [guest.fill_cache(190) for guest in pair]
    for busy in (0, 1, 0):
        path = files[busy]
        p = start_weir(case, "exec", names[busy], "--", "/bin/sh", "-c", f"while :; do cat {path} >/dev/null; done")
        broker.wait(lambda g: limits(g, names[busy])[0] >= 200 * MIB and limits(g, names[1 - busy])[0] <= 56 * MIB,
                    f"{names[busy]} has it")
        case.true("as the host says", wait_until(
            lambda: pair[busy].lent_limit() >= 200 * MIB and pair[1 - busy].lent_limit() <= 56 * MIB, 40))
        case.true("no more than the budget", sum(g.lent_limit() for g in pair) <= 256 * MIB)
        # Asking wakes it, and the next division may be between the two questions.
        idle = pair[1 - busy]
        case.true("the guest sees it", wait_until(
            lambda: re.search(rf"MemTotal: +{idle.stats()['limit_bytes'] >> 10} kB", idle.sh("cat /proc/meminfo")), 40))
        # sh in the guest ends with its exec.
        p.terminate()
        p.wait(20)
    case.equal("kills", [g.stats()["oom_kills"] for g in pair], [0, 0])


@test("memory", users=BY_GROUP, serial=True)
def broker_divides_by_weight(case):
    names = [Guest(case, "1G", ["--set", f"memory.weight={w}"]).name for w in (100, 300)]
    names.append(case.detached("sleep", "600"))
    broker = Broker(case, "640M")
    # All have 64M to use first; what is left goes by weight.
    broker.wait(lambda g: near_all(limits(g, *names), [(64 + 128) * MIB, (64 + 384) * MIB, 0]), "one to three")
    guests = broker.guests()
    case.equal("who has no limit", guests[names[2]]["state"], "unlimited")
    case.weir("kill", names[1])
    broker.wait(lambda g: near_all(limits(g, names[0]), [640 * MIB]) and names[1] not in g, "all for the other")
    case.matches("as text", case.weir("memd", "status").out, rf"(?m)^budget 640.0 MiB, given \d+.\d, missing 0.0$(?s:.*)^{re.escape(names[0])} ")


def lends(options):
    def run(case):
        pair = [Guest(case, "256M", options), Guest(case, "256M", options)]
        names = [g.name for g in pair]
        broker = Broker(case, "256M")
        broker.wait(lambda g: near_all(limits(g, *names), [128 * MIB] * 2), "both the same")
        # Before the broker has noticed.
        broker.process.send_signal(signal.SIGSTOP)
        p, got = eat(case, pair[0], "180")
        broker.process.send_signal(signal.SIGCONT)
        case.equal("the first has what its policy says", got, 180)
        case.matches("log", case.weir("log", names[0]).out, r"memory: needed: \d+k that were lent are taken back")
        broker.wait(lambda g: limits(g, names[1])[0] <= 72 * MIB, "the other has given it")
        broker.process.kill()
        broker.process.wait()
        say(p)
        case.equal("freed", p.stdout.readline(), b"freed\n")
        # Nobody takes it from it now but itself, and nobody lets it have it but itself.
        p, got = eat(case, pair[1], "180")
        case.equal("the other has what its policy says", got, 180)
        case.equal("kills", [g.stats()["oom_kills"] for g in pair], [0, 0])

    return run


harness.add("memory", "what-is-lent-is-back-when-it-is-needed", lends([]), users=BY_GROUP, programs=PROGRAMS, serial=True)
harness.add("memory", "strict-what-is-lent-is-back-when-it-is-needed", lends(["--set", "memory.budget=strict"]),
            users=("root", "user"), programs=PROGRAMS, serial=True)


@test("memory", users=("root", "user"), serial=True)
def broker_is_killed_and_restarted(case):
    pair = [Guest(case, "256M", ["--set", "memory.budget=strict"]) for _ in range(2)]
    names = [g.name for g in pair]
    broker = Broker(case, "200M")
    broker.wait(lambda g: near_all(limits(g, *names), [100 * MIB] * 2), "both the same")
    case.one_line_error(case.weir("memd", "--budget", "1G"), 1, "another one shares the memory of your guests")
    broker.process.kill()
    broker.process.wait()
    case.one_line_error(case.weir("memd", "status"), 1, "none runs; weir memd --budget SIZE starts one")
    for guest in pair:
        guest.sh("true")
        near(case, "what it had it has", guest.stats()["limit_bytes"], 100 * MIB, 4 * MIB)
    case.weir("list")
    case.equal("what the broker left is swept", os.path.exists(os.path.join(case.user.state_dir(), ".memd")), False)
    again = Broker(case, "300M")
    again.wait(lambda g: near_all(limits(g, *names), [150 * MIB] * 2), "the next one goes on")
    case.status(case.weir("memd", "stop"), 0)
    case.equal("its status", again.process.wait(20), 0)
    case.equal("nothing is left", os.path.exists(os.path.join(case.user.state_dir(), ".memd")), False)
    # By hand: all that was lent is back first.
    case.equal("whole", pair[0].mem("unplug", "56M")["limit_bytes"], 200 * MIB)


@test("memory", users=("root", "user"), serial=True)
def broker_goes_on_without_a_silent_guest(case):
    names = [case.detached("sleep", "600", options=strict("256M")) for _ in range(3)]
    broker = Broker(case, "300M")
    broker.wait(lambda g: near_all(limits(g, *names), [100 * MIB] * 3), "all the same")
    kernel = case.kernel_pid(names[2])
    os.kill(kernel, signal.SIGSTOP)
    case.cleanups.append(lambda: harness.processes().get(kernel) and os.kill(kernel, signal.SIGCONT))
    broker.wait(lambda g: g[names[2]]["state"] == "silent", "it is silent")
    case.weir("kill", names[1])
    broker.wait(lambda g: near_all(limits(g, names[0]), [200 * MIB]), "the rest is shared, but not what it has")
    os.kill(kernel, signal.SIGCONT)
    broker.wait(lambda g: near_all(limits(g, names[0], names[2]), [150 * MIB] * 2), "it is back")


@test("memory", users=("root",))
def broker_says_what_it_wants(case):
    for args, pattern in (
            ((), "usage: weir memd --budget SIZE"),
            (("--budget", "much"), "--budget much: write a size of at least 1M such as 4G"),
            (("--budget", "1G", "--interval", "1ms"), "--interval 1ms: write a duration from 50ms to 1h"),
            (("--budget", "1G", "--idle", "-1s"), "--idle -1s: write a duration"),
            (("--budget", "1G", "status"), "usage: weir memd"),
            (("--json", "stop"), "usage: weir memd"),
    ):
        case.one_line_error(case.weir("memd", *args), 2, pattern)


@test("memory", users=("root", "user"), serial=True)
def starts_and_stops_leave_nothing_behind(case):
    """The short form; by hand it is tools/density --churn 1000."""
    tool = os.path.join(case.directory(), "density")
    shutil.copyfile(os.path.join(harness.TESTS, "..", "tools", "density"), tool)
    for options in ((), memory("64M")):
        r = case.command(["python3", tool, "--weir", case.ctx.weir, "--json", "--churn", "24", *options], timeout=110)
        case.status(r, 0)
        case.equal("left", json.loads(r.out)["left"], [])


@test("memory", users=BY_GROUP, programs=PROGRAMS)
def group_holds_against_a_fork_bomb(case):
    guest, other = Guest(case, "128M"), Guest(case, "64M")
    q, got = eat(case, other, "30")
    p = start_weir(case, "exec", guest.name, "--", case.ctx.program("memory/eat"), "20", "bomb")
    # Which of them are killed, and whether their parent is one of them, is the host's choice.
    wait_until(lambda: guest.stats()["oom_kills"] > 0, 30)
    case.true("some are killed", guest.stats()["oom_kills"] > 0)
    case.true(f"the host counts {guest.used() >> 20} of 128 MiB", guest.used() <= 128 * MIB)
    p.kill()
    case.equal("kills of the other", other.stats()["oom_kills"], 0)
    say(q)
    case.equal("the other goes on", q.stdout.readline(), b"freed\n")


def group_games(case):
    """What a strict budget refuses a group lets be, as Linux does, until it is written."""
    r = case.program("memory/games", "256", "group", options=memory("256M", "--set", "memory.budget=cgroup"))
    case.status(r, 0)
    case.true("something was checked", r.out.count("ok ") > 8 and "FAILED" not in r.out)


harness.add("memory", "group-games", group_games, users=BY_GROUP, programs=("memory/games",))


# -- memory that the guest kernel keeps --------------------------------------------


def disk_pages(case, name):
    """How much of the guest's disks in memory is there, by the blocks of the guest kernel's files."""
    kernel = guest_kernel(case, name)
    blocks = {}
    try:
        for fd in os.listdir(f"/proc/{kernel}/fd"):
            path = f"/proc/{kernel}/fd/{fd}"
            try:
                if "weir-physmem" in os.readlink(path):
                    st = os.stat(path)
                    blocks[st.st_ino] = st.st_blocks
            except FileNotFoundError:
                pass	# closed meanwhile
    except PermissionError:
        raise Skipped("only root may look at the guest kernel's files")
    return sum(blocks.values()) * 512


@test("memory", users=("root", "user", "single"))
def ram_disk_gives_back_what_is_freed(case):
    # A strict budget's tmpfs is an eighth of what is left.
    name = case.detached("sleep", "600", way=fuse_dev.reach(case),
                         options=memory("640M", "--set", "disk.0.ram=64M", "--set", "disk.2.ram=32M"))
    guest = Guest.__new__(Guest)
    guest.case, guest.name = case, name

    def resident():
        areas = {a["name"]: a["resident_bytes"] for a in guest.mem()["physmem"]}
        case.equal("as the host says", sum(areas.values()), disk_pages(case, name))
        return areas

    case.equal("nothing is there yet", resident(), {"ubd0": 0, "ubd2": 0})
    case.matches("what is left", guest.sh("cat /proc/meminfo"), rf"MemTotal: +{(640 - 96) * 1024} kB")
    guest.sh("head -c 40M /dev/zero | tr '\\0' x >/tmp/data && dd if=/tmp/data of=/dev/ubd0 bs=1M conv=notrunc,fsync 2>/dev/null"
             " && cmp -n 41943040 /tmp/data /dev/ubd0 && dd if=/tmp/data of=/dev/ubd2 bs=1M count=8 conv=notrunc,fsync 2>/dev/null")
    case.equal("what was written is there", resident(), {"ubd0": 40 * MIB, "ubd2": 8 * MIB})
    case.matches("as text", case.weir("mem", name).out, r"(?m)^ram disk   ubd0: 40\.0 of 64\.0 MiB are there$")
    guest.sh("fallocate -p -o 0 -l 30M /dev/ubd0")
    case.equal("what was freed is the host's", resident(), {"ubd0": 10 * MIB, "ubd2": 8 * MIB})
    guest.sh("head -c 30M /dev/ubd0 | tr -d '\\0' | wc -c | grep -qx 0 && cmp -n 10M -i 30M /tmp/data /dev/ubd0")


@test("memory", users=("root", "user"))
def ram_disk_is_empty_after_a_reboot(case):
    name = case.detached("/bin/sh", "-c", "head -c 4 /dev/ubd0 >/tmp/found && echo abcd >/dev/ubd0 && sync /dev/ubd0; exec sleep 600",
                         options=["--set", "disk.0.ram=1M"], way=fuse_dev.reach(case))
    for boot in ("first", "second"):
        wait_until(lambda: disk_pages(case, name) == 4096, 20)
        case.equal(f"a page after the {boot} boot", disk_pages(case, name), 4096)
        r = case.weir("exec", name, "--", "/bin/sh", "-c", "od -An -tx1 /tmp/found; head -c 4 /dev/ubd0")
        case.equal(f"found and left by the {boot} boot", (r.out.split(), r.status), (["00"] * 4 + ["abcd"], 0))
        kernel = guest_kernel(case, name)
        case.status(case.weir("reboot", name), 0)
        case.true("another kernel", wait_until(lambda: guest_kernel(case, name) not in (None, kernel), 20))


def guest_kernel(case, name):
    """Its process, or None while there is none."""
    r = case.weir("stats", "--json", name)
    return json.loads(r.out)["guest"].get("kernel_pid") if r.status == 0 else None

# SPDX-License-Identifier: Apache-2.0
"""Suite "machine": all that tells a guest of its machine agrees, with itself and with the policy

Each test is run for both ways in which weir can serve the files: over FUSE, and from
a tmpfs where /dev/fuse may not be opened.
"""

import os
import re
import signal
import subprocess

import fuse_dev
import harness
import terminal
from harness import Failed, need

HOST_CPUS = os.sysconf("SC_NPROCESSORS_ONLN")
HOST_MEMORY = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE") // 1024
MIB = 1024

# Keys of the policy: what the facts must be. None: the host's.
MACHINES = [
    ({}, HOST_CPUS, None, None),
    ({"guest.vcpus": 1}, 1, None, None),
    ({"guest.vcpus": 2}, 2, None, None),
    ({"guest.vcpus": 4}, 4, None, None),
    ({"guest.vcpus": 64}, 64, None, None),
    ({"guest.memory": "256M"}, HOST_CPUS, 256 * MIB, None),
    ({"guest.kernel_release": "9.8.7-test"}, HOST_CPUS, None, "9.8.7-test"),
    ({"guest.vcpus": 3, "guest.memory": "300M", "guest.kernel_release": "1.2.3"}, 3, 300 * MIB, "1.2.3"),
    ({"namespaces.time": "new", "time.boottime": "+3d"}, HOST_CPUS, None, None),
    ({"sched.source": "traps", "guest.vcpus": 2}, 2, None, None),
]

# Kind of fact: how far two values of it may be from each other.
NEAR = {"uptime": 1.6, "boot": 2.0, "free": 64 * MIB, "load": 0.3, "procs": 3}


class Way:
    """How a test's guests get their files."""

    def __init__(self, case, fuse):
        self.case, self.fuse = case, fuse
        self.env = {} if fuse else {"WEIR_TEST_MASK": "fuse"}
        self.way = fuse_dev.reach(case) if fuse else harness.USUAL

    def run(self, *command, options=(), timeout=60):
        wrap, ids = self.way
        argv = wrap + self.case.run_argv(command, ["-v", *options])
        return self.case.command(argv, env=self.env, ids=ids, timeout=timeout)

    def start(self, *command, **kw):
        return self.case.start(*command, env=self.env, way=self.way, **kw)

    def was_used(self, result):
        how = "over FUSE" if self.fuse else "files of a tmpfs"
        if how not in result.err:
            raise Failed(f"the boot log does not say {how!r}\n{result.text()}")


def both_ways(name, function, users=("root", "user"), policies=("hosting",), serial=False, programs=(),
              ways=(True, False)):
    for fuse in ways:
        def run(case, fuse=fuse):
            function(case, Way(case, fuse))

        harness.add("machine", f"{name}-{'fuse' if fuse else 'tmpfs'}", run, users=users, policies=policies,
                    serial=serial, programs=programs)


def options_of(keys):
    return [x for key, value in keys.items() for x in ("--set", f"{key}={value}")]


def values(out):
    """{kind: [(place, value)]} of the program facts."""
    found = {}
    for line in out.splitlines():
        head, _, value = line.partition("\t")
        kind, _, place = head.partition(" ")
        if value:
            found.setdefault(kind, []).append((place, value))
    return found


def agree(kind, places):
    """What differs among the places that tell one fact."""
    first_place, first = places[0]
    for place, value in places[1:]:
        if kind in NEAR:
            far = [1 for a, b in zip(first.split(), value.split()) if abs(float(a) - float(b)) > NEAR[kind]]
            if far:
                yield f"{kind}: {place} says {value}, {first_place} {first}"
        elif value != first:
            yield f"{kind}: {place} says {value}, {first_place} {first}"


def one_machine(case, way, machine):
    keys, cpus, memory, release = machine
    r = way.run(case.ctx.program("machine/facts"), *(["node"] if memory or cpus != HOST_CPUS else []),
                options=options_of(keys))
    if r.status == 125 and "namespaces.time" in keys and "time:" in r.err:
        case.note(f"{keys}: {r.err.strip().splitlines()[-1]}")
        return
    case.status(r, 0)
    way.was_used(r)
    found = values(r.out)
    bad = [x for kind, places in found.items() for x in agree(kind, places)]
    want = {"cpus": str(cpus), "memory": str(memory or HOST_MEMORY), "release": release or os.uname().release}
    bad += [f"{kind}: {found[kind][0]}, not {value}" for kind, value in want.items() if found[kind][0][1] != value]
    if int(found["cpu"][0][1]) >= cpus:
        bad.append(f"getcpu says {found['cpu'][0][1]} of {cpus}")
    if keys.get("time.boottime") == "+3d" and float(found["uptime"][0][1]) < 3 * 86400:
        bad.append(f"uptime is {found['uptime'][0][1]} with three days more")
    if memory and found["swap"][0][1] != "0":
        bad.append("there is swap beside a limit of memory")
    if bad:
        raise Failed(f"{keys}\n" + "\n".join(bad) + "\n" + r.out)


def agreement(case, way):
    """Every place, for every machine of the table."""
    for machine in MACHINES:
        one_machine(case, way, machine)


both_ways("agreement", agreement, policies=("hosting", "jail", "all-trap"), programs=["machine/facts"])


def reading(case, way):
    """Fresh, in parts, by many, not to be changed; and, in hosting, no way past."""
    ways = ["ways"] if case.policy == "hosting" else []
    r = case.status(way.run(case.ctx.program("machine/reading"), *ways), 0)
    way.was_used(r)
    if "FAILED" in r.out:
        raise Failed(r.text())
    case.matches("pressure of the CPUs is hidden", r.out, r"(?m)^/proc/pressure/cpu: (hidden|ENOENT)$")
    case.matches("pressure of memory is the host's, without a limit", r.out,
                 r"(?m)^/proc/pressure/memory: (trigger, poll says ok|no trigger: E(INVAL|PERM)|ENOENT|EACCES)$")
    if ways:
        for line in ("umount cmdline: EINVAL", "umount cmdline, lazily: EINVAL", "umount uptime by a link: EINVAL",
                     "move cmdline away: EINVAL", "remount it writable: EPERM", "umount of its cmdline: EINVAL",
                     "mount proc: ok", "umount proc: ok", "bind proc: ok", "bind of the bind: ok",
                     "umount the bind: ok", "umount the other: ok", "umount proc itself: EBUSY"):
            case.true(f"{line}\n{r.out}", line in r.out.splitlines())


both_ways("reading", reading, policies=("hosting", "jail"), programs=["machine/reading"])


def kept_texts(case, way):
    """Files that the host keeps for their reader (procfs_fuse.c)."""
    r = case.status(way.run(case.ctx.program("machine/reading"), "kept", options=["--set", "guest.memory=512M"]), 0)
    way.was_used(r)


both_ways("kept-texts", kept_texts, ways=(True,), programs=["machine/reading"])


def new_size_is_seen(case, way):
    """weir mem, and then /proc/meminfo, opened anew: the new size, however soon."""
    p = way.start("/bin/sh", "-c", "echo begins; while read -r _; do grep MemTotal /proc/meminfo; done",
                  options=["--set", "guest.memory=512M"], stdin=subprocess.PIPE)
    if p.stdout.readline() != b"begins\n":
        raise Failed("it does not begin: " + p.stderr.read().decode())
    for action, mib in ((None, 512), ("unplug 256M", 256), ("plug 128M", 384), ("unplug 64M", 320)):
        if action:
            case.status(case.weir("mem", p.guest, *action.split()), 0)
        p.stdin.write(b"\n")
        p.stdin.flush()
        case.equal("MemTotal", p.stdout.readline().split()[1], str(mib << 10).encode())


both_ways("new-size-is-seen", new_size_is_seen, ways=(True,))


def hidden_with_a_limit(case, way):
    """With a limit of memory, its pressure is the guest's own or none."""
    r = case.status(way.run("/bin/sh", "-c", "cat /proc/pressure/memory; cat /proc/zoneinfo | wc -c; "
                            "cat /proc/swaps | wc -l; ls /sys/devices/system/memory | wc -l",
                            options=["--set", "guest.memory=256M"]), 0)
    way.was_used(r)
    counts = [line for line in r.out.splitlines() if line.isdigit()]
    case.equal("bytes of zoneinfo, lines of swaps, blocks of memory", counts, ["0", "1", "0"])
    own = re.search(r"cgroup: .*(unified|/sys/fs/cgroup/(?!memory))", r.err)
    if os.path.exists("/proc/pressure/memory") and not own:
        case.true("memory pressure is not the host's", "some avg10" not in r.out)


both_ways("hidden-with-a-limit", hidden_with_a_limit)

# Command, and what it must say of a guest with 3 CPUs and 512 MiB of memory.
TOOLS = {
    "nproc": (["nproc"], r"^3$"),
    "nproc --all": (["nproc", "--all"], r"^3$"),
    "getconf": (["getconf", "_NPROCESSORS_CONF"], r"^3$"),
    "free": (["free", "-m"], r"(?m)^Mem:\s+512\s"),
    "lscpu": (["lscpu"], r"(?m)^CPU\(s\):\s+3$"),
    "uptime": (["uptime"], r"load average: \d"),
    "vmstat": (["vmstat"], r"procs -+memory"),
    "top": (["top", "-b", "-n1"], r"(?m)^MiB Mem :\s+512\.\d total"),
    "ps": (["ps", "-o", "etimes=,lstart=", "-p", "1"], r"^\s*[0-9] .* 20\d\d"),
    "python3": (["python3", "-c", "import os; print(os.cpu_count(), os.sysconf('SC_PHYS_PAGES') * 4096 >> 20)"],
                r"^3 512$"),
    "node": (["node", "-e", "os = require('os'); console.log(os.cpus().length, os.availableParallelism ? "
                            "os.availableParallelism() : 3, Math.floor(os.totalmem() / 1048576))"], r"^3 3 512$"),
}


def real_tools(case, way):
    need(*(command[0] for command, _ in TOOLS.values()))
    for name, (command, pattern) in TOOLS.items():
        r = case.status(way.run(*command, options=["--set", "guest.vcpus=3", "--set", "guest.memory=512M"]), 0)
        if not re.search(pattern, r.out.strip()):
            raise Failed(f"{name} does not say {pattern!r}\n{r.text()}")


both_ways("real-tools", real_tools)


def java(case, way):
    """What the virtual machine makes of it: a collector's threads, and a heap of a quarter of the memory."""
    need("java")
    r = case.status(way.run("java", "-XX:+UseParallelGC", "-XX:+PrintFlagsFinal", "-version",
                            options=["--set", "guest.memory=1G", "--set", "guest.vcpus=3"]), 0)
    flags = dict(re.findall(r"(?m)^\s*\w+ (\w+)\s+=\s+(\d+)", r.out))
    case.equal("a thread for each processor", flags["ParallelGCThreads"], "3")
    case.equal("a quarter of 1 GiB", int(flags["MaxHeapSize"]), 256 << 20)


both_ways("java", java)


def htop(case, way):
    """On a terminal: a meter for each CPU, the guest's memory, and its tasks alone."""
    need("htop")
    options = ["--set", "guest.vcpus=3", "--set", "guest.memory=512M"]
    mark = "7" + case.ctx.unique()[1:].replace("-", ".")
    script = f"sleep {mark} & HTOPRC=/nonexistent exec htop -C -d 2"
    screen = terminal.Screen(case, way.way[0] + case.run_argv(["/bin/sh", "-c", script], options), 30, 100,
                             TERM="vt100", **way.env)
    screen.until("the task", lambda rows: any(f"sleep {mark}" in row for row in rows), 30)
    rows = screen.until("the meters", lambda rows: "Load average" in "\n".join(rows))
    text = "\n".join(rows)
    meters = re.findall(r"(?<!\d)(\d+)\[[^\]]*%\]", text)
    case.equal("meters", sorted(meters), ["0", "1", "2"])
    case.matches("Mem", text, r"Mem\[[^\]]*/512M\]")
    pids = [row.split()[0] for row in rows[next(i for i, row in enumerate(rows) if "PID" in row) + 1:]
            if row.split() and row.split()[0].isdigit()]
    case.true(f"the guest's tasks, which are few: {pids}\n{text}", 2 <= len(pids) <= 5)
    screen.type("q")
    case.equal("status", screen.p.wait(10), 0)


both_ways("htop", htop, users=("root",))


def start_times(case, way):
    """ps counts from the same boot as the kernel: what starts now is of now."""
    need("ps")
    for options in ((), ("--set", "namespaces.time=new", "--set", "time.boottime=+3d")):
        r = way.run("/bin/sh", "-c", "sleep 2; date +%s; ps -o lstart= -p 1; ps -o etimes= -p 1", options=options)
        if r.status == 125 and "time:" in r.err:
            case.note(r.err.strip().splitlines()[-1])
            continue
        case.status(r, 0)
        now, started, elapsed = r.out.splitlines()
        started = subprocess.run(["date", "-d", started, "+%s"], capture_output=True, text=True).stdout
        case.true(f"lstart is two seconds ago: {r.out}", 0 <= int(now) - int(started) <= 5)
        case.true(f"etimes is two seconds: {r.out}", 1 <= int(elapsed) <= 5)


both_ways("start-times", start_times)


def busy_is_seen(case, way):
    """300 ms of CPU time are 30 ticks in /proc/stat, whatever the host does beside."""
    r = case.status(way.run(case.ctx.program("machine/reading"), "spin", options=["--set", "guest.vcpus=1"]), 0)
    busy = int(r.out.split()[1])
    case.true(f"busy for {busy} ticks", 25 <= busy <= 45)


both_ways("busy-is-seen", busy_is_seen, programs=["machine/reading"])


def kill_while_reading(case, way):
    """kill -9 of the guest kernel, with its answers waited for: nothing hangs, nothing is left."""
    for _ in range(5):
        name = case.ctx.unique()
        mark = "mark-" + name
        loop = f": {mark}; while :; do cat /proc/stat /proc/uptime /proc/loadavg >/dev/null; done"
        p = way.start("/bin/sh", "-c", f"for i in 1 2 3 4 5 6 7 8; do sh -c '{loop}' & done; echo reads; wait",
                      name=name)
        case.equal("it reads", p.stdout.readline(), b"reads\n")
        os.kill(case.kernel_pid(name), signal.SIGKILL)
        try:
            p.wait(20)
        except subprocess.TimeoutExpired:
            raise Failed("weir run does not end")
        case.true("nothing is left", harness.wait_until(lambda: not harness.with_argument(mark), 10))
        case.true("no guest of that name", name not in case.weir("list").out)


both_ways("kill-while-reading", kill_while_reading, serial=True)

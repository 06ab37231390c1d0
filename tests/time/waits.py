# SPDX-License-Identifier: Apache-2.0
"""Suite "waits": what waits by a clock of the guest's

waits.c makes every kind of call that waits until a time, spans.c those that
wait for a span of it. What they print is the same natively: they are run both ways and compared. Nothing is timed tightly: too
early is an error, and so is more than two seconds too late.
"""

import json
import os
import re
import subprocess
import threading
import time

import harness
from harness import Failed, need, test

HERE = os.path.join(harness.TESTS, "time")
USERS = ("root", "user", "single")
VARIANTS = {
    "glibc": ["cc", "-O2", "-pthread"],
    "static": ["cc", "-O2", "-pthread", "-static"],
    "musl": ["musl-gcc", "-O2", "-pthread", "-static"],
}
CLOCKS = {
    "ahead": ["time.realtime=+1d"],
    "behind": ["time.realtime=-1d"],
    "fast": ["time.rate=10"],
    "slow": ["time.rate=0.1"],
}
building = threading.Lock()


def build(case, variant, source="waits"):
    """A program in a variant; built once in a run."""
    command = VARIANTS[variant]
    out = os.path.join(case.ctx.build, f"time-{source}-{variant}")
    with building:
        if os.path.exists(out):
            return out
        need(command[0])
        done = subprocess.run([*command, "-D_GNU_SOURCE", "-o", out, os.path.join(HERE, source + ".c")],
                              capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{variant} does not build:\n{done.stderr}")
        os.chmod(out, 0o755)
    return out


def options(clock, *more):
    settings = CLOCKS.get(clock, [clock] if clock else [])
    return ["-p", "time-lab", *[x for value in (*settings, *more) for x in ("--set", value)]]


def no_failure(result):
    bad = [line for line in result.out.splitlines() if line.startswith("FAILED")]
    if bad or result.status:
        raise Failed("\n".join(bad[:20]) + "\n" + result.text())
    return result


def same(case, program, *args, clock, timeout=120):
    native = no_failure(case.command([program, *args], timeout=timeout))
    guest = no_failure(case.run(program, *args, options=options(clock), timeout=timeout))
    case.equal("what it prints", guest.out, native.out)


def deadlines(variant, clock):
    def run(case):
        program = build(case, variant)
        for id in ("0", "1"):
            same(case, program, "deadlines", id, clock=clock)

    return run


def compared(variant, what, *args):
    def run(case):
        for clock in ("ahead",) if what == "signals" else ("ahead", "behind"):
            same(case, build(case, variant), what, *args, clock=clock)

    return run


# What kind of program it is makes no difference to what users may do, and the other way round.
users_of = {"glibc": ("root", "user")}
for variant in VARIANTS:
    users = users_of.get(variant, ("root",))
    for clock in CLOCKS if variant == "glibc" else [c for c in CLOCKS if c != "slow"]:
        harness.add("waits", f"deadlines-{variant}-{clock}", deadlines(variant, clock),
                    users=USERS if clock == "ahead" and variant == "glibc" else users, policies=(None,))
    for what, *args in (("bad",), ("signals",), ("cancel",), ("family",), ("storm", "3000")):
        harness.add("waits", f"{what}-{variant}", compared(variant, what, *args), users=users, policies=(None,))


def spans(variant, rate):
    """Relative waits: as natively, on a clock that has another speed."""

    def run(case):
        program = build(case, variant, "spans")
        native = no_failure(case.command([program, "1"]))
        guest = no_failure(case.run(program, max(rate, 1), options=options(f"time.rate={rate}"), timeout=120))
        case.equal("what it prints", guest.out, native.out)

    return run


for variant in VARIANTS:
    for rate in (10, 0.5) if variant == "glibc" else (10,):
        users = users_of.get(variant, ("root",))
        harness.add("waits", f"spans-{variant}-rate-{rate}", spans(variant, rate), users=users, policies=(None,))


FAR = {
    "ahead": ["time.realtime=+1d"],
    "rate-10": ["time.rate=10"],
    "rate-0.1": ["time.rate=0.1"],
    "frozen": ["time.rate=0"],
    "travel": ["time.idle=travel"],
}


def far(settings):
    """2^55 s are 0 in 64 bits of ns: an interval so long was a period of 0 to divide by, where the clock stands still."""

    def run(case):
        program = build(case, "glibc", "far")
        native = no_failure(case.command([program]))
        guest = no_failure(case.run(program, options=options(None, *settings), timeout=120))
        case.equal("lines", [line for line in guest.out.splitlines() if line not in native.out.splitlines()], [])
        case.equal("what it prints", guest.out, native.out)
        case.true(native.out, native.out.endswith("far: over\n") and "is over" not in native.out)

    return run


for name, settings in FAR.items():
    harness.add("waits", f"far-{name}", far(settings), users=USERS if name == "frozen" else ("root", "user"), policies=(None,))


# -- a clock that changes meanwhile -----------------------------------------


def moved(variant, clock_id, seconds, start, actions, least, most):
    """Waits for @seconds of the guest's end between @least and @most of the host's after the last change."""

    def run(case):
        p = case.start(build(case, variant), "moved", clock_id, seconds, options=options(start), stdin=subprocess.PIPE)
        if p.stdout.readline() != b"ready\n":
            raise Failed("not ready: " + p.stderr.read().decode())
        begin = time.monotonic()
        for action in actions:
            if callable(action):
                action = action(case, p.guest)
            if action:
                case.status(case.weir("time", p.guest, *action), 0)
        p.stdin.write(b"\n")
        p.stdin.flush()
        out, err = p.communicate(timeout=100)
        took = time.monotonic() - begin
        no_failure(harness.Result(["moved"], p.returncode, out.decode(), err.decode(), took))
        case.true(f"took {took:.1f} s, not {least} to {most}", least <= took <= most)
        stats = re.findall(r"(\d+) moved when", case.weir("log", p.guest).out)
        case.note(f"{took:.1f} s {stats}")

    return run


def set_by(seconds):
    def action(case, name):
        now = json.loads(case.weir("time", "--json", name).out)["realtime_ns"] / 1e9 + seconds
        return ["set", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))]

    return action


def rest(seconds):
    def action(case, name):
        time.sleep(seconds)

    return action


# 3600 s to wait: they end early because the clock says so. 5 s: late for the same reason.
MOVES = {
    "set-ahead": ("0", "3600", "ahead", [set_by(4000)], 0, 15),
    "set-back": ("0", "5", "ahead", [set_by(-4)], 6, 30),
    "offset": ("0", "3600", None, [["offset", "+2h"]], 0, 15),
    "rate": ("0", "100", "time.waits=all", [["rate", "100"]], 0, 15),
    "rate-monotonic": ("1", "100", "time.waits=all", [["rate", "100"]], 0, 15),
    "frozen-thawed": ("0", "2", "time.waits=all", [["freeze"], rest(4), ["thaw"]], 4, 30),
    "frozen-monotonic": ("1", "2", "time.waits=all", [["freeze"], rest(4), ["thaw"]], 4, 30),
}
for variant in ("glibc", "musl"):
    for name, how in MOVES.items():
        users = users_of.get(variant, ("root",))
        harness.add("waits", f"moved-{name}-{variant}", moved(variant, *how), users=users, policies=(None,))


@test("waits", users=USERS, policies=(None,))
def cancelled_when_the_clock_is_set(case):
    p = case.start(build(case, "glibc"), "cancelled", options=options(None))
    while (line := p.stdout.readline()) != b"ready\n":
        if line not in (b"before: 0\n",):
            raise Failed(f"not ready: {line!r} " + p.stderr.read().decode())
    case.status(case.weir("time", p.guest, "offset", "+2h"), 0)
    out, err = p.communicate(timeout=60)
    no_failure(harness.Result(["cancelled"], p.returncode, out.decode(), err.decode(), 0))
    case.equal("polls", out.decode().split("\n")[:2], ["after: 1", "again: 0"])


# -- timers and time-outs that are set already --------------------------------


def rearmed(kind, seconds, start, action, lines, least=0):
    """A timer that would ring in @seconds rings within some, since the clocks change; never before @least."""

    def run(case):
        p = case.start(build(case, "glibc", "rearm"), kind, seconds, options=options(start), stdin=subprocess.PIPE)
        if p.stdout.readline() != b"ready\n":
            raise Failed("not ready: " + p.stderr.read().decode())
        begin = time.monotonic()
        case.status(case.weir("time", p.guest, *action), 0)
        out, err = p.communicate(b"\n", timeout=100)
        took = time.monotonic() - begin
        no_failure(harness.Result(["rearm", kind], p.returncode, out.decode(), err.decode(), took))
        case.equal("what it prints", out.decode().splitlines(), lines)
        case.true(f"took {took:.1f} s", least <= took <= 60)

    return run


for kind, lines in (("alarm", ["alarm: over"]), ("setitimer", ["setitimer: over", "its interval: over"]), ("exec", ["exec: over"]),
                    ("timer", ["timer: over"]), ("socket", ["SO_RCVTIMEO: over"]), ("sockets", ["SO_RCVTIMEO: over"])):
    harness.add("waits", f"rearmed-{kind}-faster", rearmed(kind, "1000", "time.waits=all", ["rate", "1000"], lines),
                users=USERS, policies=(None,))
for kind, name in (("alarm", "alarm"), ("ualarm", "ualarm"), ("timer", "timer"), ("socket", "SO_RCVTIMEO")):
    harness.add("waits", f"rearmed-{kind}-slower", rearmed(kind, "1", "time.waits=all", ["rate", "0.2"], [f"{name}: over"], 3),
                users=("root", "user"), policies=(None,))
for kind, name in (("fork", "fork"), ("passed", "SCM_RIGHTS")):
    harness.add("waits", f"rearmed-{kind}", rearmed(kind, "3600", "ahead", ["offset", "+2d"], [f"{name}: over"]),
                users=USERS, policies=(None,))


@test("waits", users=USERS, policies=(None,))
def cancelled_timers_say_so(case):
    """TFD_TIMER_CANCEL_ON_SET: a reader gets ECANCELED, and who polls and sets it anew does, once. A read after a
    poll says 1, other than natively: it makes no stop."""
    want = {"blocked": ["read: Operation canceled", "it goes on: 1"],
            "polled": ["poll: 1", "set: Operation canceled", "poll: 0", "read: Resource temporarily unavailable", "set again: ok"]}
    for kind, lines in want.items():
        p = case.start(build(case, "glibc", "rearm"), kind, options=options(None), stdin=subprocess.PIPE)
        if p.stdout.readline() != b"ready\n":
            raise Failed("not ready: " + p.stderr.read().decode())
        case.status(case.weir("time", p.guest, "offset", "+2h"), 0)
        out, err = p.communicate(timeout=60)
        case.equal(kind + err.decode(), out.decode().splitlines(), lines)


@test("waits", users=USERS, policies=(None,))
def itimers_of_the_cpu_are_the_hosts(case):
    """ITIMER_VIRTUAL goes by time on a CPU, which has no speed of the guest's; a policy may have its calls stop."""
    policy = case.policy_file("[policy]\nname = t\ninherit = time-lab\n[time]\nrate = 100\n"
                              "[syscalls]\nsetitimer = trap\ngetitimer = trap\n")
    r = case.run("python3", "-c", """
import signal, time
rang = []
signal.signal(signal.SIGVTALRM, lambda *a: rang.append(time.process_time()))
before = time.process_time()
signal.setitimer(signal.ITIMER_VIRTUAL, 0.5)
print(0 < signal.getitimer(signal.ITIMER_VIRTUAL)[0] < 1)
while not rang: pass
print(rang[0] - before > 0.3)
""", options=["-p", policy])
    case.equal("what it prints" + r.err, r.out.split(), ["True", "True"])


@test("waits", users=USERS, policies=(None,))
def other_options_of_sockets_are_the_hosts(case):
    """Set and read as they are where a policy has all of these calls stop: the level says what a number means, and a
    value may be as long as a time."""
    policy = case.policy_file("[policy]\nname = t\ninherit = time-lab\n[time]\nrate = 100\n"
                              "[syscalls]\nsetsockopt = trap\ngetsockopt = trap\n")
    r = case.run("python3", "-c", """
import socket, struct
s = socket.socket()
# Of IPPROTO_IP, 20 and 21 are IP_RECVORIGDSTADDR and IP_MINTTL.
for level, option in ((socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.IPPROTO_TCP, socket.TCP_NODELAY),
                      (socket.IPPROTO_IP, socket.SO_RCVTIMEO), (socket.IPPROTO_IP, socket.SO_SNDTIMEO)):
    s.setsockopt(level, option, struct.pack("=qq", 1, 0))
    print(level, option, struct.unpack_from("=i", s.getsockopt(level, option, 16))[0])
for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
    print(struct.unpack("=qq", s.getsockopt(socket.SOL_SOCKET, option, 16)))
    s.setsockopt(socket.SOL_SOCKET, option, struct.pack("=qq", 50, 0))
    print(struct.unpack("=qq", s.getsockopt(socket.SOL_SOCKET, option, 16)))
""", options=["-p", policy])
    case.equal("what it prints" + r.err, r.out.splitlines(), ["1 9 1", "6 1 1", "0 20 1", "0 21 1"] + ["(0, 0)", "(50, 0)"] * 2)


# -- other programs ---------------------------------------------------------


@test("waits", users=USERS, policies=(None,))
def python_conditions(case):
    r = case.run("python3", "-c", """
import threading, time
for kind in (threading.Condition, threading.Event):
    c = kind()
    for s in (0.05, 0.2):
        a = time.time()
        if kind is threading.Event: c.wait(s)
        else:
            with c: c.wait(s)
        took = time.time() - a
        print('ok' if s <= took + 0.001 and took < s + 2 else took)
lock = threading.Lock(); lock.acquire()
a = time.time(); print(lock.acquire(timeout=0.1), 0.099 < time.time() - a < 2)
""", options=options("ahead"))
    case.equal("waits", r.out.split(), ["ok"] * 4 + ["False", "True"])


@test("waits", users=("root", "user"), policies=(None,))
def under_strace(case):
    """Traced already: the time is put into the program's memory. It is late enough, and not late."""
    need("strace")
    program = build(case, "glibc")
    for kind in ("futex", "cond", "nanosleep", "mq_receive", "timerfd", "timer"):
        no_failure(case.run("strace", "-f", "-o", "/dev/null", program, "one", kind, "0.3", options=options("ahead")))


@test("waits", users=USERS, policies=(None,))
def without_ptrace_and_without_a_vdso(case):
    """The time is put into the program's memory; without our code in the vDSO too."""
    program = build(case, "glibc")
    for feature in ("ptrace", "vdso"):
        for kind in ("futex", "cond", "sem", "nanosleep", "mq_receive", "mq_send", "timerfd", "timer"):
            no_failure(case.run(program, "one", kind, "0.2", options=options("behind"), env={"WEIR_TEST_MASK": feature}))


@test("waits", users=("root", "user"), policies=(None,))
def gdb_comes_and_goes(case):
    need("gdb")
    program = build(case, "glibc")
    for kind in ("futex", "cond", "nanosleep"):
        script = (f"{program} one {kind} 8 & sleep 0.5; "
                  "gdb -nx -q -batch -p $! -ex bt -ex detach >/dev/null 2>&1 || echo FAILED gdb; wait $!")
        no_failure(case.shell(script, options=options("behind"), timeout=100))


@test("waits", users=("root", "user"), policies=(None,))
def short_waits_while_the_clock_is_set(case):
    """Who re-arms a wait that is over waited for a task that waited for the same lock."""
    for variant in ("glibc", "musl"):
        r = case.run(build(case, variant), "short", "10000", options=["--set", "time.settable=yes"], timeout=60)
        no_failure(r)
        case.equal(variant, r.out, "short: done\n")


@test("waits", users=USERS, policies=(None,))
def the_window_is_somebody_elses(case):
    """A program that has mapped something where the window would be: nothing is redirected, and its own is left alone."""
    r = case.run("python3", "-c", """
import ctypes, threading, time
m = ctypes.CDLL(None).mmap; m.restype = ctypes.c_void_p
print(hex(m(ctypes.c_void_p(0x4a5b00000000), 65536, 3, 0x100022, -1, ctypes.c_long(0))))
own = (ctypes.c_char * 65536).from_address(0x4a5b00000000)
ctypes.memset(own, 7, 65536)
a = time.time()
c = threading.Condition()
with c: c.wait(0.2)
print(0.199 < time.time() - a < 2, own.raw == bytes([7]) * 65536)
""", options=["-v", *options("ahead", "time.waits=all")])
    case.equal("what it prints", r.out.split(), ["0x4a5b00000000", "True", "True"])
    n = int(re.search(r"(\d+) changed in place", r.err).group(1))
    case.true(f"{n} in place: a call would have been redirected", n > 0)


@test("waits", users=USERS, policies=(None,))
def the_window_is_half_made(case):
    """As in a process that was forked while its parent's was mapped: it is taken, and the program's time is not written to."""
    code = """
import ctypes, threading, time
m = ctypes.CDLL(None).mmap; m.restype = ctypes.c_void_p
print(hex(m(ctypes.c_void_p(0x4a5b00000000), %d, 3, 0x104022, -1, ctypes.c_long(0))))
c = threading.Condition()
for i in range(3):
    with c: c.wait(0.05)
"""
    for size, in_place in ((4096 + 1024 * 8 * 128, False), (4096, True)):
        r = case.run("python3", "-c", code % size, options=["-v", *options("ahead", "time.waits=all")])
        case.equal("address", r.out.split(), ["0x4a5b00000000"])
        n = int(re.search(r"redirected, (\d+) changed in place", r.err).group(1))
        case.true(f"{size}: {n} in place", (n > 0) == in_place)


@test("waits", users=USERS, policies=(None,))
def relative_waits_do_not_stop(case):
    """With an offset only what needs it stops."""
    name = case.detached("/bin/sleep", "100", options=options("ahead")[2:])
    case.status(case.weir("exec", name, "--", "python3", "-c",
                          "import time, select\nfor i in range(20): time.sleep(0.001); select.select([], [], [], 0.001)"), 0)
    stats = case.stats(name)
    stopped = {t["syscall"]: t["count"] for t in stats["traps"]}
    case.true(f"few stops: {stopped}", all(stopped.get(n, 0) < 20 for n in ("nanosleep", "clock_nanosleep", "select",
                                                                             "pselect6", "futex")))


@test("waits", users=("root",), policies=(None,))
def without_a_clock_nothing_of_it(case):
    name = case.detached("/bin/sleep", "100")
    case.weir("exec", name, "--", "python3", "-c", "import threading\nc = threading.Condition()\nwith c: c.wait(0.01)")
    stats = case.stats(name)
    stopped = {t["syscall"] for t in stats["traps"]}
    case.true(f"stops: {stopped}", not stopped & {"futex", "clock_nanosleep", "timerfd_settime"})

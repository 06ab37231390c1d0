# SPDX-License-Identifier: Apache-2.0
"""Suite "travel": guests whose clocks go to the next deadline while all sleep

timeouts.c waits in every way there is; here guests travel, alone and by a
calendar, and the calendar is talked to as User-mode Linux talks, well and badly.
"""

import json
import os
import re
import socket
import struct
import subprocess
import threading
import time

import harness
from harness import Failed, need, test, wait_until

HERE = os.path.join(harness.TESTS, "time")
USERS = ("root", "user", "single")
TRAVEL = ["--set", "time.idle=travel", "--set", "time.settable=yes"]
FREE = [*TRAVEL, "--set", "time.cpu=free"]
NO_PERF = {"WEIR_TEST_MASK": "perf"}
DAY = 86400
ACK, START, REQUEST, WAIT, GET, UPDATE, RUN, FREE_UNTIL, GET_TOD, BROADCAST = range(10)

building = threading.Lock()


def build(case, name):
    out = os.path.join(case.ctx.build, "travel-" + name)
    with building:
        if not os.path.exists(out):
            done = subprocess.run(["cc", "-D_GNU_SOURCE", "-O2", "-pthread", "-o", out, os.path.join(HERE, name + ".c"), "-lrt"],
                                  capture_output=True, text=True)
            if done.returncode:
                raise Failed(done.stderr)
            os.chmod(out, 0o755)
    return out


def travel_stats(case, name):
    return json.loads(case.weir("time", "--json", name).out)["travel"]


# ---- alone ---------------------------------------------------------------


@test("travel", users=USERS)
def a_day_is_a_moment(case):
    r = case.shell("date +%s; sleep 86400; date +%s", options=TRAVEL, timeout=20)
    before, after = map(int, r.out.split())
    case.true(f"{after - before} s", DAY <= after - before <= DAY + 2)


@test("travel", users=("root", "user"))
def without_records_of_the_host(case):
    r = case.shell("date +%s; sleep 86400; sleep 86400; date +%s", options=TRAVEL, env=NO_PERF, timeout=20)
    before, after = map(int, r.out.split())
    case.true(f"{after - before} s", 2 * DAY <= after - before <= 2 * DAY + 2)


@test("travel", users=("root", "user"))
def sleepers_wake_in_their_order(case):
    script = "".join(f"(sleep {n}00000; echo {n} $(date +%s)) & " for n in (5, 3, 8, 1, 7, 2)) + "date +%s; wait"
    for options in (TRAVEL, FREE):
        r = case.shell(script, options=options, timeout=30)
        start, *lines = r.out.splitlines()
        case.equal("order", [line.split()[0] for line in lines], list("123578"))
        for line in lines:
            n, at = map(int, line.split())
            case.true(line, 0 <= at - int(start) - n * 100000 <= 2)


# The host's clock shows more than the guest's then: its time-outs would come too early.
PAST = [*TRAVEL, "--set", "time.realtime=2001-01-01T00:00:00Z"]
SLOW = [*TRAVEL, "--set", "time.rate=0.5"]


def waits(kind, *args, options=TRAVEL):
    def run(case):
        program = build(case, "timeouts")
        for env in ({}, NO_PERF) if case.user.kind == "root" and options is TRAVEL else ({},):
            r = case.run(program, kind, *args, options=options, env=env, timeout=90)
            bad = [line for line in r.out.splitlines() if line.startswith("FAILED")]
            if bad or r.status or "timeouts: ok" not in r.out:
                raise Failed("\n".join(bad) or r.text())
        return r

    return run


for kind in ("timeouts", "signals", "woken", "timers"):
    harness.add("travel", "waits-" + kind, waits(kind), users=USERS)
    harness.add("travel", f"waits-{kind}-free", waits(kind, options=FREE), users=("root", "user"))
    harness.add("travel", f"waits-{kind}-past", waits(kind, options=PAST), users=("root", "user"))
    harness.add("travel", f"waits-{kind}-slow", waits(kind, options=SLOW), users=("root",))


@test("travel", users=("root", "user"))
def threads_that_wait_at_random(case):
    r = waits("storm", "16")(case)
    case.matches("early ends", r.out, "early: 0")


@test("travel", users=("root", "user"))
def threads_that_are_cancelled_at_random(case):
    for options in (TRAVEL, FREE):
        r = waits("cancel", "16", options=options)(case)
        case.true(r.text(), "FAILED" not in r.out)


@test("travel", users=("root", "user"))
def timers_of_node(case):
    """setTimeout and setInterval (epoll), by a clock that leaps: a day, three hours, in their order."""
    need("node")
    code = """
const t = Date.now(), p = performance.now();
let n = 0;
const i = setInterval(() => {
    console.log('hour', Math.round((Date.now() - t) / 3600e3));
    if (++n === 3) clearInterval(i);
}, 3600e3);
setTimeout(() => {
    console.log('day', Math.round((Date.now() - t) / 3600e3), Math.round((performance.now() - p) / 3600e3));
}, 86400e3);
"""
    r = case.run("node", "-e", code, options=TRAVEL, timeout=60)
    case.equal(r.text(), r.out.splitlines(), ["hour 1", "hour 2", "hour 3", "day 24 24"])


@test("travel", users=("root",), serial=True)
def computing_takes_the_time_it_takes(case):
    """cpu = real: no leap while one computes, and its clock goes on; cpu = free: it stands still."""
    code = ("import time\n"
            "import threading\n"
            "threading.Thread(target=time.sleep, args=(5000,), daemon=True).start()\n"
            "a, h = time.monotonic(), time.process_time()\n"
            "while time.process_time() - h < 0.3: pass\n"
            "print(time.monotonic() - a)\n")
    r = case.run("python3", "-c", code, options=TRAVEL, timeout=30)
    case.true(f"real: {r.out}", 0.29 <= float(r.out) < 5)
    r = case.run("python3", "-c", code, options=FREE, timeout=30)
    case.true(f"free: {r.out}", float(r.out) == 0)


@test("travel", users=("root", "user"))
def a_wait_ends_while_another_computes(case):
    """After a leap the host's clock is behind: what is due then ends by our hand, in time."""
    code = ("import threading, time\n"
            "def nap():\n"
            "    time.sleep(1000.2)\n"
            "    print(time.monotonic() - a)\n"
            "t = threading.Thread(target=nap)\n"
            "a = time.monotonic()\n"
            "t.start()\n"
            "time.sleep(1000)\n"
            "while t.is_alive(): pass\n")
    r = case.run("python3", "-c", code, options=TRAVEL, timeout=30)
    case.true(f"{r.out}", 1000.19 <= float(r.out) < 1001)


@test("travel", users=("root", "user"))
def without_a_deadline_nothing_moves(case):
    name = case.detached("/bin/sh", "-c", "sleep 1000; mkfifo /tmp/f; read x </tmp/f", options=TRAVEL)
    wait_until(lambda: travel_stats(case, name)["leaps"] == 1)
    leapt = travel_stats(case, name)["leapt_ns"]
    time.sleep(0.3)
    t = travel_stats(case, name)
    case.equal("leaps", (t["leaps"], t["leapt_ns"], t["ended"]), (1, leapt, 1))
    r = case.weir("time", name)
    case.matches("it says how far", r.out, r"travels +1 leaps, 9\d\d\.\d+ s; 1 waits? noted, 1 ended; cpu = real")


@test("travel", users=("root", "user"))
def what_waits_for_the_outside_is_asleep(case):
    """One task reads what we write; time goes on all the same, to the other's deadline."""
    p = case.start("/bin/sh", "-c", "(sleep 3600; date +%s) & date +%s; read x; echo $x; wait", options=TRAVEL, stdin=subprocess.PIPE)
    before, after = int(p.stdout.readline()), int(p.stdout.readline())
    case.true(f"{after - before} s", 3600 <= after - before <= 3602)
    p.stdin.write(b"hello\n")
    p.stdin.flush()
    case.equal("what we wrote", p.stdout.readline(), b"hello\n")
    case.equal("status", p.wait(20), 0)


@test("travel", users=("root",))
def under_strace_time_is_real(case):
    """Who has a tracer cannot be woken, so nobody leaves it behind."""
    need("strace")
    r = case.shell("strace -f -o /dev/null sleep 1 & sleep 0.3; a=$(date +%s%N); wait; b=$(date +%s%N); echo $(( (b - a) / 1000000 ))",
                   options=TRAVEL, timeout=30)
    case.true(f"{r.out} ms", 100 <= int(r.out) <= 5000)


@test("travel", users=("root", "user"))
def killed_while_they_wait(case):
    script = "for i in 1 2 3 4 5 6 7 8; do sleep 900$i & p=$!; (sleep 5; kill -9 $p) & wait $p; echo $?; done"
    r = case.shell(script, options=TRAVEL, timeout=30)
    case.equal("statuses", r.out.split(), ["137"] * 8)
    r = case.shell("sleep 100; exec sleep 86400", options=TRAVEL, timeout=30)
    case.status(r, 0)


@test("travel", users=("root",))
def the_end_of_init_is_heard_of(case):
    """Init waits itself, is ended by our hand, and its status arrives."""
    root = case.directory()
    build_init = os.path.join(root, "init")
    case.write(os.path.join(root, "i.c"), "#include <unistd.h>\nint main(void) { sleep(5000); return 7; }\n")
    subprocess.run(["cc", "-static", "-o", build_init, os.path.join(root, "i.c")], check=True)
    for d in ("proc", "sys", "dev", "tmp"):
        os.makedirs(os.path.join(root, d), exist_ok=True)
    for _ in range(20):	# the event loop once took the stop of its child for its end
        r = case.weir("run", "-n", case.ctx.unique(), "-p", case.policy, "-r", root, "--set", "guest.init=/init", *TRAVEL, timeout=20)
        case.status(r, 7)


@test("travel", users=("root", "user"))
def a_month_of_cron(case):
    """busybox crond, a job at midnight: ten times in ten days."""
    need("busybox")
    script = ("mkdir -p /tmp/c && echo '0 0 * * * date +%s >>/tmp/log' >/tmp/c/root && "
              "(busybox crond -f -c /tmp/c -L /dev/null &) ; sleep 864000; cat /tmp/log")
    r = case.shell(script, options=[*TRAVEL, "--set", "time.realtime=2030-03-01T12:00:00Z"], timeout=110, env={"TZ": "UTC"})
    days = [int(x) for x in r.out.split()]
    case.equal("jobs", len(days), 10)
    case.true(f"at midnight: {days}", all(d % DAY <= 60 for d in days))


@test("travel", users=("root",))
def rates_of_travelling_clocks(case):
    name = case.detached("/bin/sh", "-c", "read x", options=FREE)
    r = case.weir("time", name, "thaw")
    case.one_line_error(r, 1, "cpu = free")
    case.status(case.weir("time", name, "set", "2038-01-19T03:14:00Z"), 0)


# ---- by a calendar ----------------------------------------------------------


class Calendar:
    def __init__(self, case, *args):
        self.path = os.path.join(case.directory(0o755), "s")
        self.argv = [case.ctx.weir, "calendar", "-v", *args, self.path]
        self.p = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=case.user.env(), **case.user.popen_ids())
        case.cleanups.append(self.stop)
        wait_until(lambda: os.path.exists(self.path))

    def options(self):
        return [*FREE, "--set", "time.calendar=" + self.path]

    def stop(self):
        """What it printed."""
        if self.p.stdout.closed:
            return "", ""
        self.p.terminate()
        out, err = self.p.communicate(timeout=10)
        return out.decode(), err.decode()


class Peer:
    """A machine that speaks the protocol as User-mode Linux does."""

    def __init__(self, path, start=True):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(10)
        self.s.connect(path)
        self.seq = 0
        if start:
            self.ask(START, 42)

    def say(self, op, at=0):
        self.seq += 1
        self.s.sendall(struct.pack("=IIQ", op, self.seq, at))

    def hear(self):
        data = b""
        while len(data) < 16:
            more = self.s.recv(16 - len(data))
            if not more:
                raise Failed("the calendar has hung up")
            data += more
        return struct.unpack("=IIQ", data)

    def ask(self, op, at=0):
        self.say(op, at)
        op, seq, at = self.hear()
        if (op, seq) != (ACK, self.seq):
            raise Failed(f"{op} {seq} is no ACK of {self.seq}")
        return at

    def wait(self):
        """WAIT until it is our turn: the time."""
        self.ask(WAIT)
        return self.run()

    def run(self):
        op, seq, at = self.hear()
        if op != RUN:
            raise Failed(f"{op} is not RUN")
        self.s.sendall(struct.pack("=IIQ", ACK, seq, 0))
        return at


S = 10**9


@test("travel", users=("root", "user"))
def the_line_of_a_calendar(case):
    c = Calendar(case, "-n", "3", "-t", "2030-01-01T00:00:00Z")
    a, b = Peer(c.path), Peer(c.path)
    case.equal("time and date", (a.ask(GET), a.ask(GET_TOD)), (0, 1893456000 * S))
    b.ask(REQUEST, 30 * S)
    b.ask(WAIT)
    a.ask(REQUEST, 50 * S)
    a.ask(WAIT)
    d = Peer(c.path)	# the third: only now does time begin
    d.ask(REQUEST, 30 * S)
    d.ask(WAIT)
    case.equal("first b", b.run(), 30 * S)
    case.equal("it sees", b.ask(GET), 30 * S)
    b.ask(UPDATE, 31 * S)
    b.ask(REQUEST, 40 * S)
    b.ask(WAIT)
    case.equal("then d, not before b was", d.run(), 31 * S)
    d.ask(BROADCAST, 77)
    case.equal("heard", [(x[0], x[2]) for x in (a.hear(), b.hear())], [(BROADCAST, 77)] * 2)
    a.ask(REQUEST, 35 * S)	# an earlier one than before, while it waits
    d.ask(WAIT)			# with no request: it may wait for ever
    case.equal("then a", a.run(), 35 * S)
    a.s.close()			# a machine that leaves holds nobody up
    case.equal("then b", b.run(), 40 * S)
    case.equal("date", b.ask(GET_TOD), (1893456000 + 40) * S)


@test("travel", users=("root", "user"))
def malformed_machines(case):
    c = Calendar(case)
    good = Peer(c.path)
    for first, rest, why in ((42, b"", "message 42 is none that a machine says"), (REQUEST, b"", "did not begin with START"),
                             (START, struct.pack("=IIQ", START, 2, 0), "a second START"),
                             (START, struct.pack("=IIQ", RUN, 2, 0), "message 6 is none"), (START, b"half", "in the middle")):
        p = Peer(c.path, start=False)
        p.s.sendall(struct.pack("=IIQ", first, 1, 0) + rest)
        p.s.shutdown(socket.SHUT_WR)
        while p.s.recv(64):
            pass
        p.s.close()
    good.ask(REQUEST, S)
    case.equal("the good one goes on", good.wait(), S)
    _, err = c.stop()
    lines = err.splitlines()
    case.equal("lines", len(lines), 5)
    for line, why in zip(lines, ("message 42 is none", "did not begin with START", "a second START", "message 6 is none", "in the middle")):
        case.matches("line", line, rf"^weir: calendar: machine \d+: .*{why}.*; it is dropped$")


@test("travel", users=("root", "user"))
def sockets_of_a_calendar(case):
    c = Calendar(case)
    case.one_line_error(case.weir("calendar", c.path), 2, "is in use")
    case.one_line_error(case.weir("calendar", "/etc/passwd"), 2, "is no socket")
    case.one_line_error(case.weir("calendar", "/nonexistent/s"), 1, "No such file")
    case.one_line_error(case.weir("calendar", "/" + "x" * 200), 2, "at most 107 bytes")
    case.one_line_error(case.weir("calendar", "-n", "0", c.path), 2, "from 1 to")
    case.one_line_error(case.weir("calendar", "-t", "noon", c.path), 2, "in UTC")
    case.one_line_error(case.weir("calendar"), 2, "usage")
    c.p.kill()
    c.p.wait()
    again = subprocess.Popen(c.argv, stdin=subprocess.DEVNULL, env=case.user.env(), stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, **case.user.popen_ids())
    def answers():
        try:
            Peer(c.path)
            return True
        except OSError:
            return False
    wait_until(answers)	# what a kill -9 has left is no hindrance
    again.terminate()
    case.equal("status", again.wait(10), 0)
    again.stderr.close()
    case.true("the socket is gone", not os.path.exists(c.path))


@test("travel", users=("root", "user"))
def a_guest_needs_its_calendar(case):
    r = case.run("/bin/true", options=[*FREE, "--set", "time.calendar=/nonexistent"])
    case.one_line_error(r, 125, "nobody answers at /nonexistent: No such file or directory; start weir calendar")
    path = os.path.join(case.directory(0o777), "s")
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    os.chmod(path, 0o777)
    s.listen()

    def answer():
        peer, _ = s.accept()
        peer.recv(16)
        peer.sendall(b"HTTP/1.1 400 Bad")
        peer.recv(16)
        peer.close()

    t = threading.Thread(target=answer)
    t.start()
    r = case.run("/bin/true", options=[*FREE, "--set", "time.calendar=" + path])
    t.join(10)
    case.one_line_error(r, 125, "is no calendar")


@test("travel", users=("root", "user"))
def two_guests_in_lock_step(case):
    """The one writes its date every ten seconds, the other its own beside it: the same, and at the same second
    however fast either is; and both sleep in between."""
    c = Calendar(case, "-n", "2", "-t", "2030-01-01T00:00:00Z")
    a = case.start("/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 10; date +%s.%N; done; sleep 100", options=c.options())
    b = case.start("/bin/sh", "-c", "while read l; do echo $l $(date +%s.%N); sleep 3; done", options=c.options(), stdin=a.stdout)
    out = b.stdout.read().decode()
    case.equal("ends", (a.wait(20), b.wait(20)), (0, 0))
    want = [f"{1893456000 + 10 * i}.000000000 {1893456000 + 10 * i}.000000000" for i in range(1, 9)]
    case.equal("dates", out.splitlines(), want)


@test("travel", users=("root",))
def a_guest_and_another_machine(case):
    c = Calendar(case, "-n", "2", "-t", "2030-01-01T00:00:00Z")
    peer = Peer(c.path)
    p = case.start("/bin/sh", "-c", "sleep 10; date +%s; sleep 10; date +%s", options=c.options())
    peer.ask(REQUEST, 15 * S)
    case.equal("after the guest's first sleep", peer.wait(), 15 * S)
    case.equal("which it had", p.stdout.readline(), b"1893456010\n")
    peer.ask(WAIT)
    case.equal("and its second", p.stdout.readline(), b"1893456020\n")
    case.equal("status", p.wait(20), 0)


@test("travel", users=("root", "user"))
def a_calendar_that_is_killed(case):
    """The guest says so once, and travels alone."""
    c = Calendar(case, "-n", "2")
    name = case.detached("/bin/sh", "-c", "sleep 1000; touch /tmp/done; read x", options=c.options())
    wait_until(lambda: travel_stats(case, name)["waits"] == 1)
    time.sleep(0.1)
    case.equal("it waits for the second machine", travel_stats(case, name)["leaps"], 0)
    c.p.kill()
    wait_until(lambda: travel_stats(case, name)["ended"] == 1)
    log = case.weir("log", name).out
    case.equal("lines", len(re.findall("calendar: it has ended; this guest's clocks travel alone", log)), 1)


@test("travel", users=("root", "user"))
def a_guest_that_is_killed(case):
    c = Calendar(case, "-n", "2")
    peer = Peer(c.path)
    name = case.detached("/bin/sleep", "1000", options=c.options())
    wait_until(lambda: travel_stats(case, name)["waits"] >= 1)
    peer.ask(REQUEST, 500 * S)
    case.equal("before the guest", peer.wait(), 500 * S)
    case.status(case.weir("kill", name), 0)
    peer.ask(REQUEST, 2000 * S)
    case.equal("and without it", peer.wait(), 2000 * S)


@test("travel", users=("root",))
def a_calendar_that_talks_nonsense(case):
    path = os.path.join(case.directory(0o777), "s")
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.listen()
    name = case.ctx.unique()
    p = case.start("/bin/sh", "-c", "sleep 1000; date +%s", options=[*FREE, "--set", "time.calendar=" + path], name=name)
    peer, _ = s.accept()
    for at in (0, 0, 1893456000 * S):
        op, seq, _ = struct.unpack("=IIQ", peer.recv(16, socket.MSG_WAITALL))
        peer.sendall(struct.pack("=IIQ", ACK, seq, at))
    peer.sendall(struct.pack("=IIQ", 99, 1, 0))
    case.equal("alone then", p.stdout.readline(), b"1893457000\n")
    case.equal("status", p.wait(20), 0)
    peer.close()

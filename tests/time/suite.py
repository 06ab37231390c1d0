# SPDX-License-Identifier: Apache-2.0
"""Suite "time": guests with clocks of their own

The matrix is in three files: clocks.c (and clocks.go) reads by each way and in
each kind of process, and compares what it reads with what the guest kernel
answers; VARIANTS builds it with each C library; SETTINGS are the clocks. Here
the outcome is compared with the host's clock.
"""

import json
import os
import re
import shutil
import subprocess
import threading
import time

import harness
from harness import Failed, Skipped, need, need_java_compiler, test

HERE = os.path.join(harness.TESTS, "time")
USERS = ("root", "user", "single")
POLICIES = ("hosting",)
DAY = 86400
NOON_2038 = 2147428800	# 2038-01-18T12:00:00Z

# What is built: the command, and the ways to read that it has.
WAYS = ("libc", "raw", "vsyscall", "byhand")
VARIANTS = {
    "dynamic": (["cc", "-O2", "-pthread"], WAYS),
    "static": (["cc", "-O2", "-pthread", "-static"], ("libc", "byhand")),
    "static-pie": (["cc", "-O2", "-pthread", "-static-pie"], ("libc",)),
    "musl": (["musl-gcc", "-O2", "-static"], ("libc", "byhand")),
    "go": (["go", "build"], ()),
}
PROCESSES = ("fresh", "fork", "vfork", "thread", "threadexec")

# The clocks: --set options, the rate, and what REALTIME is at host time h when
# the guest was booted at h0. A range, for the second that a reading may be old.
SETTINGS = {
    "offset": (["time.realtime=+3d"], 1, lambda h, h0: h + 3 * DAY),
    "fast": (["time.rate=10"], 10, lambda h, h0: h0 + 10 * (h - h0)),
    "slow": (["time.rate=0.1", "time.realtime=-1h30m"], 0.1, lambda h, h0: h0 - 5400 + (h - h0) / 10),
    "frozen": (["time.rate=0", "time.realtime=2038-01-18T12:00:00Z"], 0, lambda h, h0: NOON_2038),
    "set": (["time.settable=yes"], 1, lambda h, h0: NOON_2038 + h - h0),
}

building = threading.Lock()


def build(case, variant):
    """The program of a variant; built once in a run."""
    command, _ = VARIANTS[variant]
    out = os.path.join(case.ctx.build, "time-clocks-" + variant)
    with building:
        if os.path.exists(out):
            return out
        need(command[0])
        source = os.path.join(HERE, "clocks.go" if variant == "go" else "clocks.c")
        env = dict(os.environ, CGO_ENABLED="0", GO111MODULE="off", GOCACHE=os.path.join(case.ctx.build, "gocache"))
        done = subprocess.run([*command, "-o", out, source], capture_output=True, text=True, env=env)
        if done.returncode:
            raise Failed(f"{variant} does not build:\n{done.stderr}")
        os.chmod(out, 0o755)
    return out


def options(setting):
    return [x for value in SETTINGS[setting][0] for x in ("--set", value)]


def script_of(case, program, variant, rate):
    """A shell script that runs all of a variant; each run says a line."""
    if variant == "go":
        return f"{program} {rate}; {program} {rate}\n"
    lines = [f"{program} {way} {process} {rate}" for process in PROCESSES for way in VARIANTS[variant][1]]
    if variant == "dynamic":
        if shutil.which("gdb"):
            lines += [f"gdb -nx -q -batch -ex run --args {program} {way} fresh any 2>/dev/null" for way in ("libc", "byhand")]
        if shutil.which("strace"):
            lines += [f"strace -f -o /dev/null {program} {way} {process} any" for way in ("libc", "raw")
                      for process in ("fresh", "thread")]
        if case.user.kind != "single":
            lines += ["cp %s /tmp/suid && chown 1000:1000 /tmp/suid && chmod 6755 /tmp/suid" % program,
                      f"/tmp/suid libc fresh {rate}", f"/tmp/suid libc fork {rate}"]
    return "\n".join(lines) + "\n"


def judge(case, out, setting, start, end, count):
    """Each line of REALTIME is what the setting makes of some host time since the boot."""
    _, _, f = SETTINGS[setting]
    low = min(f(start, start), f(end, end), f(start, end), f(end, start)) - 1.1
    high = max(f(start, start), f(end, end), f(end, start)) + 1.1
    bad = [line for line in out.splitlines() if line.startswith("FAILED")]
    found = re.findall(r"(?m)^(\w+) (\w+) (-?\d+)$", out)
    for way, process, seconds in found:
        if not low <= int(seconds) <= high:
            bad.append(f"{way} {process} reads {seconds}, not between {low:.0f} and {high:.0f}")
    if bad:
        raise Failed("\n".join(bad[:40]))
    case.equal("lines", len(found), count)


def matrix(variant, setting):
    def run(case):
        program = build(case, variant)
        rate = SETTINGS[setting][1]
        script = script_of(case, program, variant, rate)
        start = time.time()
        if setting == "set":
            script = "date -u -s '2038-01-18 12:00:00' >/dev/null || exit 9\n" + script
        r = case.shell(script, options=options(setting), timeout=300)
        end = time.time()
        runs = re.findall(r"(?m) (?:fresh|fork|vfork|thread|threadexec) ", script)
        judge(case, r.out, setting, start, end, 2 if variant == "go" else len(runs))

    return run


for variant in VARIANTS:
    for setting in SETTINGS:
        # The rest of the matrix is the same code for every user.
        users = USERS if variant in ("dynamic", "go") else ("root", "user")
        harness.add("time", f"clocks-{variant}-{setting}", matrix(variant, setting), users=users)


def set_while_running(variant):
    def run(case):
        program = build(case, variant)
        for way in VARIANTS[variant][1]:
            p = case.start(program, way, "await", "1", options=options("set"))
            if p.stdout.readline() != b"ready\n":
                raise Failed(f"{way}: not ready: {p.stderr.read().decode()}")
            start = time.time()
            case.status(case.weir("time", p.guest, "set", "2038-01-18T12:00:00Z"), 0)
            out = p.stdout.read().decode()
            judge(case, out, "set", start, time.time(), 1)
            case.equal("status", p.wait(20), 0)

    return run


for variant in ("dynamic", "static", "musl"):
    harness.add("time", f"set-while-running-{variant}", set_while_running(variant), users=("root", "user"))


# -- agreement, tuning, hostile programs ------------------------------------


def passes(case, r):
    bad = [line for line in r.out.splitlines() if line.startswith("FAILED")]
    if bad or r.status:
        raise Failed("\n".join(bad[:20]) + "\n" + r.text())
    return r


@test("time", users=USERS, programs=["time/agree"])
def processes_agree_over_500_changes(case):
    passes(case, case.program("time/agree", 500, options=options("set"), timeout=120))


@test("time", users=("root", "user"), programs=["time/agree"])
def processes_agree_over_changes_of_the_rate(case):
    """All clocks, MONOTONIC too, and 200 changes by weir time."""
    p = case.start(case.ctx.program("time/agree"), "0", "outside", options=options("set"), stdin=subprocess.PIPE)
    if p.stdout.readline() != b"reading\n":
        raise Failed("not reading: " + p.stderr.read().decode())
    actions = (["rate", "10"], ["rate", "0.1"], ["freeze"], ["thaw"], ["rate", "1.000001"])
    for i in range(200):
        case.status(case.weir("time", p.guest, *actions[i % len(actions)]), 0)
    out, err = p.communicate(b"\n", timeout=60)
    passes(case, harness.Result(["agree"], p.returncode, out.decode(), err.decode(), 0))


@test("time", users=USERS, programs=["time/tune"])
def adjtimex_as_ntpd_and_chrony_use_it(case):
    r = passes(case, case.program("time/tune", options=options("set"), timeout=120))
    for line in ("a tick too long: EINVAL", "too many microseconds: EINVAL", "clock_adjtime of MONOTONIC: EOPNOTSUPP",
                 "clock_adjtime of no clock: EINVAL",
                 "clock_settime: ok", "settimeofday: ok", "before the guest was up: EINVAL", "before 1970: EINVAL",
                 "after all time: EINVAL", "too many nanoseconds: EINVAL", "MONOTONIC: EINVAL",
                 "a bad pointer: EFAULT", "time zone: ok", "a zone that is none: EINVAL"):
        case.true(f"{line!r} is in\n{r.out}", line in r.out.splitlines())
    if case.user.kind != "single":
        for line in ("nobody sets: EPERM", "nobody tunes: EPERM"):
            case.true(f"{line!r} is in\n{r.out}", line in r.out.splitlines())


@test("time", users=USERS, programs=["time/tune"])
def a_clock_that_may_not_be_set(case):
    for more in ([], ["--set", "caps.drop=sys_time"]):
        r = case.program("time/tune", "refused", options=[*options("set" if more else "offset"), *more])
        case.equal("lines", r.out.splitlines(), ["clock_settime: EPERM", "adjtimex: EPERM"])
    r = case.shell("date -s 2040-01-01; date +%Y", options=options("offset"))
    case.true(f"not set: {r.out}", "2040" not in r.out.splitlines()[-1])


@test("time", users=("root", "user"), programs=["time/leap"])
def leap_seconds(case):
    for kind in ("insert", "delete"):
        passes(case, case.program("time/leap", kind, options=[
            "--set", "time.realtime=2030-06-30T23:59:50Z", "--set", "time.rate=10", "--set", "time.settable=yes"]))


@test("time", users=USERS, programs=["time/hostile"])
def hostile_programs(case):
    passes(case, case.program("time/hostile", options=options("offset")))
    program = case.ctx.program("time/hostile")
    passes(case, case.shell(f"ulimit -n 16; exec {program} descriptors", options=options("offset")))


@test("time", users=("user",))
def an_execute_only_program_is_named_in_the_log(case):
    """Its owner is not mapped: the host lets nobody look into it, the guest kernel neither."""
    if os.getuid() != 0:
        raise Skipped("only root can make a program that we may not read")
    program = os.path.join(case.ctx.build, case.ctx.unique())
    shutil.copy("/bin/true", program)
    os.chmod(program, 0o711)
    r = case.run(program, options=["-v", "--set", "guest.writable=no", *options("offset")])
    case.status(r, 0)
    case.matches("the log", r.err, r"time: the vDSO of task \d+ could not be changed \(Permission denied\)")


@test("time", users=USERS, programs=["time/hostile"])
def hostile_programs_with_stubs(case):
    passes(case, case.program("time/hostile", options=options("offset"), env={"WEIR_TEST_MASK": "vdso"}))


@test("time", users=USERS)
def no_image_escapes(case):
    """Many at once, short-lived: none shows the host's year."""
    r = case.shell("seq 400 | xargs -P 8 -n 1 date -u +%Y | sort | uniq -c",
                   options=["--set", "time.realtime=2100-06-01T00:00:00Z"], timeout=120)
    # xargs hands date a number as its date: it fails. Count what was printed.
    r = case.shell("seq 400 | xargs -P 8 -I N date -u '+%Y N' | cut -d' ' -f1 | sort | uniq -c",
                   options=["--set", "time.realtime=2100-06-01T00:00:00Z"], timeout=120)
    case.equal("years", r.out.split(), ["400", "2100"])


@test("time", users=("root", "user"))
def execs_that_fail_and_scripts(case):
    d = case.directory()
    case.write(os.path.join(d, "script"), "#!/bin/sh\ndate -u +%Y\n", 0o755)
    case.write(os.path.join(d, "nothing"), "no program", 0o755)
    r = case.shell(f"{d}/script; env -i {d}/script; exec {d}/script",
                   options=["--set", "time.realtime=2100-06-01T00:00:00Z"])
    case.equal("years", r.out.split(), ["2100"] * 3)
    r = case.shell("python3 - <<'E'\nimport os, time\nfor i in range(50):\n try: os.execv('%s/nothing', ['x'])\n"
                   " except OSError: pass\nprint(time.gmtime().tm_year)\nE" % d,
                   options=["--set", "time.realtime=2100-06-01T00:00:00Z"])
    case.equal("after execs that failed", r.out.split(), ["2100"])


# -- other programs --------------------------------------------------------


@test("time", users=USERS)
def date_sets_and_everybody_sees_it(case):
    r = case.shell("date -u +%Y; date -u -s '2040-02-29 12:00:00' >/dev/null && date -u '+%F %H'; "
                   "python3 -c 'import datetime as d; print(d.datetime.now(d.timezone.utc).strftime(\"%F %H\"))'; "
                   "perl -e '@t = gmtime(time); print $t[5] + 1900, \"\\n\"'",
                   options=["--set", "time.settable=yes", "--set", "time.realtime=+400d"])
    lines = r.out.split("\n")
    case.equal("after date -s", lines[1:3], ["2040-02-29 12", "2040-02-29 12"])
    case.equal("perl", lines[3], "2040")


@test("time", users=("root", "user"))
def a_certificate_has_expired(case):
    need("openssl")
    make = ("cd /tmp && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k -out c "
            "-days 30 -subj /CN=t 2>/dev/null && openssl verify -CAfile c c 2>&1; ")
    r = case.shell(make + "date -s '+40 days' >/dev/null; openssl verify -CAfile c c 2>&1", options=options("set"))
    case.true(f"good, then expired:\n{r.out}", r.out.count("OK") == 1 and "has expired" in r.out)


@test("time", users=("root", "user"))
def java_and_node(case):
    need("node")
    need_java_compiler()
    path = case.write(os.path.join(case.directory(), "Year.java"),
                      "class Year { public static void main(String[] a) { System.out.println(java.time.Year.now()); } }")
    r = case.shell(f"node -e 'console.log(new Date().getUTCFullYear())'; java {path}",
                   options=["--set", "time.realtime=2100-06-01T00:00:00Z"], timeout=120)
    case.equal("years", r.out.split(), ["2100"] * 2)


# -- weir time, stats, the log ---------------------------------------------


def show(case, name):
    return json.loads(case.status(case.weir("time", "--json", name), 0).out)


@test("time", users=USERS)
def weir_time_sets_and_shows(case):
    name = case.detached("/bin/sleep", "100", options=options("set"))
    t = show(case, name)
    case.equal("at first", (t["own"], t["rate"], t["frozen"], t["settable"], t["follows_host"], t["vdso"]),
               (True, 1.0, False, True, True, "changed"))
    case.true(f"no offset: {t['realtime_offset_ns']}", abs(t["realtime_offset_ns"]) < 1000000)
    case.status(case.weir("time", name, "offset", "-1h30m"), 0)
    t = show(case, name)
    case.true("an offset", abs(t["realtime_offset_ns"] + 5400 * 10**9) < 1000000 and t["follows_host"])
    case.status(case.weir("time", name, "set", "2038-01-18T12:00:00Z"), 0)
    t = show(case, name)
    case.true("set", 0 <= t["realtime_ns"] / 1e9 - NOON_2038 < 5 and not t["follows_host"])
    case.status(case.weir("time", name, "freeze"), 0)
    a, b = show(case, name), show(case, name)
    for clock in ("realtime_ns", "monotonic_ns", "boottime_ns"):
        case.equal(clock + " stands still", a[clock], b[clock])
    case.equal("frozen", (b["frozen"], b["rate"]), (True, 0.0))
    case.status(case.weir("time", name, "thaw"), 0)
    case.equal("thawed", show(case, name)["rate"], 1.0)
    case.status(case.weir("time", name, "rate", "0.25"), 0)
    case.equal("a rate", show(case, name)["rate"], 0.25)
    case.status(case.weir("time", name, "rate", "1"), 0)
    case.status(case.weir("time", name, "offset", "host"), 0)
    t = show(case, name)
    case.true("the host's again", abs(t["realtime_offset_ns"]) < 1000000 and t["follows_host"])
    r = case.status(case.weir("time", name), 0)
    case.matches("the date", r.out, r"(?m)^date +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z +follows the host's clock$")
    case.matches("the log", case.weir("log", name).out, r"time: set, by weir time")


@test("time", policies=(None,))
def weir_time_errors(case):
    name = case.detached("/bin/sleep", "100", options=options("set"))
    for args, why in ((["tomorrow"], "no such action"), (["set"], "2038-01-19T03:14:00Z"), (["set", "3d"], "2038-"),
                      (["offset", "3d"], "a sign and a duration"), (["rate", "0"], "freeze"), (["rate", "-1"], "0.001"),
                      (["freeze", "now"], "no value"), (["show", "a", "b"], "usage"), ([], None)):
        r = case.weir("time", *([name] if why else []), *args)
        case.one_line_error(r, 2, why or "usage")
    case.one_line_error(case.weir("time", name, "set", "1970-01-01T00:00:00Z"), 1, "before 1970")
    plain = case.detached("/bin/sleep", "100")
    case.one_line_error(case.weir("time", plain, "set", "2038-01-18T12:00:00Z"), 1, "time.settable=yes")
    r = case.status(case.weir("time", plain), 0)
    case.matches("the host's", r.out, "the clocks are the host's")
    case.one_line_error(case.run("/bin/true", options=["--set", "time.realtime=-100000d"]), 125, "before 1970")


@test("time", users=USERS)
def without_time_nothing_stops(case):
    name = case.detached("/bin/sleep", "100")
    for _ in range(3):
        case.weir("exec", name, "--", "/bin/date")
    stats = case.stats(name)
    stopped = {t["syscall"] for t in stats["traps"]}
    case.true(f"nothing of the clock's stops: {stopped}",
              not stopped & {"brk", "arch_prctl", "clock_gettime", "gettimeofday", "time", "execve"})
    case.equal("stats", (stats["time"]["vdso"], stats["time"]["own"]), ("native", False))


@test("time", users=("root", "user"), policies=("jail", "build", "all-trap", "time-lab"))
def with_every_policy(case):
    program = build(case, "static")
    start = time.time()
    r = case.run(program, "libc", "fork", 1, options=["-v", *options("offset")])
    judge(case, r.out, "offset", start, time.time(), 1)
    case.matches("the log counts the images", r.err, r"time: of the guest's images [1-9]\d* read their clocks in the vDSO, "
                 r"0 had stubs there, 0 were left")


@test("time", users=USERS)
def readings_do_not_stop(case):
    """A thousand of them, after the first: none comes to the guest kernel."""
    name = case.detached("/bin/sleep", "100", options=options("offset"))
    r = case.weir("exec", name, "--", "python3", "-c", "import time\nfor i in range(1000): time.time(); time.monotonic()")
    case.status(r, 0)
    t = case.stats(name)["time"]
    case.true(f"readings by a call: {t['trapped_reads']}", t["trapped_reads"] < 20)
    case.true(f"images: {t['images']}", t["images"]["changed"] >= 2 and t["images"]["mapped"] >= 1 and
              t["images"]["left"] == t["images"]["stubs"] == t["images"]["refused"] == 0)
    case.true(f"the offset: {t['realtime_offset_ns']}", abs(t["realtime_offset_ns"] - 3 * DAY * 10**9) < 1000000)


@test("time", users=USERS)
def a_vdso_that_cannot_be_changed_so(case):
    """Then its functions make the calls, and the answers are the same."""
    program = build(case, "dynamic")
    start = time.time()
    script = "".join(f"{program} {way} {process} 1\n" for way in WAYS for process in PROCESSES)
    name = case.ctx.unique()
    r = case.run("/bin/sh", "-c", script, options=["-v", *options("offset")], env={"WEIR_TEST_MASK": "vdso"}, name=name)
    judge(case, r.out, "offset", start, time.time(), len(WAYS) * len(PROCESSES))
    case.matches("the log says so", r.err, "clocks are read by trapped calls: hidden by a test")


@test("time", users=("root", "user"))
def with_a_time_namespace(case):
    """Its offsets and a rate of the guest's add up."""
    program = build(case, "dynamic")
    more = ["--set", "namespaces.time=new", "--set", "time.monotonic=+1d", "--set", "time.boottime=+2d"]
    for setting in ("offset", "fast"):
        start = time.time()
        r = case.run(program, "libc", "fresh", SETTINGS[setting][1], options=[*options(setting), *more])
        judge(case, r.out, setting, start, time.time(), 1)
    python = "import time; print(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME))"
    r = case.run("python3", "-c", python, options=[*options("offset"), *more])
    up = float(open("/proc/uptime").read().split()[0])
    for got, days in zip(r.out.split(), (1, 2)):
        case.true(f"{got} is {days} days after {up}", -0.02 < up + days * DAY - float(got) < 60)  # up is in 1/100 s


@test("time", users=("root",), serial=True)
def offset_and_rate_are_exact(case):
    """Within 1 us and 1 ppm of what was asked for, over five seconds of the host's."""
    for rate in (1.0, 10.0, 0.1, 1.5):
        name = case.detached("/bin/sleep", "100", options=["--set", f"time.rate={rate}", "--set", "time.settable=yes"])
        best = None
        a = min((show(case, name) for _ in range(5)), key=spread)
        time.sleep(5)
        for _ in range(10):
            b = show(case, name)
            guest = b["realtime_ns"] - a["realtime_ns"]
            host = guest - (b["realtime_offset_ns"] - a["realtime_offset_ns"])
            error = abs(guest - rate * host)
            best = error if best is None else min(best, error)
            if best <= 1000 * max(rate, 1) + guest / 1e6:
                break
        if best > 1000 * max(rate, 1) + guest / 1e6:
            raise Failed(f"rate {rate}: {best} ns off after {guest} ns")
        case.status(case.weir("kill", name), 0)


def spread(t):
    return abs(t["monotonic_offset_ns"] - t["boottime_offset_ns"])

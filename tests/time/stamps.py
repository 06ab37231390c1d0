# SPDX-License-Identifier: Apache-2.0
"""Suite "time", continued: times of files on the guest's clock ([time] stamps)

stamps.c makes the calls. A guest whose stat(2) stops must say what one whose
stat(2) passes says, but for the times; that is asked of every kind of path,
with and without the rights to follow it.
"""

import os
import re
import shutil

from harness import Failed, Skipped, need, test

USERS = ("root", "user", "single")
GUEST = ["--set", "time.stamps=guest"]
SETTABLE = ["--set", "time.settable=yes"]
AHEAD = ["--set", "time.realtime=+3d"]


def tree(case):
    """What the paths of stamps.c lead through; the same directory for every guest."""
    d = case.directory()
    inside = lambda name: os.path.join(d, name)
    for name in ("sub", "shut", "foreign"):
        os.mkdir(inside(name))
    for name in ("file", "shut/in", "foreign/in"):
        case.write(inside(name), "text\n")
    case.write(inside("sub/file"), "more text\n")
    for name, to in (("link", "sub/file"), ("far", "/etc/passwd"), ("up", "../" + os.path.basename(d) + "/file"),
                     ("dangling", "nowhere"), ("loop", "loop"), ("dirlink", "sub"), ("self", "/proc/self")):
        os.symlink(to, inside(name))
    os.utime(inside("file"), ns=(10**18 + 1, 10**18 + 999999999))
    if os.getuid() == 0:
        for name in ("sub", "shut"):
            os.chown(inside(name), case.user.uid, case.user.gid)
        # Of an id that no guest has: its root may not search it either.
        os.chown(inside("foreign"), 54321, 54321)
    for name in ("shut", "foreign"):
        os.chmod(inside(name), 0o700)
    return d


def answers(case, options, *args):
    r = case.status(case.program("time/stamps", "answers", *args, options=options), 0)
    if "FAILED" in r.out:
        raise Failed(r.text())
    return r.out.splitlines()


@test("time", users=USERS, programs=["time/stamps"])
def stat_says_what_it_would_say(case):
    """stat, lstat, fstat, newfstatat, statx: raw and by the guest kernel, as root and as somebody else."""
    d = tree(case)
    for who in ([], ["1000"]) if case.user.kind != "single" else ([],):
        raw = answers(case, SETTABLE, d, *who)
        ours = answers(case, [*SETTABLE, *GUEST], d, *who)
        bad = [f"{a}   but by the guest kernel   {b}" for a, b in zip(raw, ours) if a != b]
        if bad or len(raw) != len(ours) or len(raw) < 200:
            raise Failed(f"as {who or 'root'}: {len(raw)} and {len(ours)} lines\n" + "\n".join(bad[:30]))
        if who:
            case.true("some paths were closed", any("shut/in: EACCES" in line for line in ours))


@test("time", users=USERS, programs=["time/stamps"])
def times_are_set_and_shown(case):
    """utime, utimes, futimesat, utimensat: what was set is what is shown, whatever the clock."""
    want = case.status(case.program("time/stamps", "set", "/tmp/f", options=SETTABLE), 0).out
    case.true("some were refused: " + want, "bad time: EINVAL" in want and "of a descriptor of a path: EBADF" in want)
    for clock in (AHEAD, ["--set", "time.realtime=2038-01-18T12:00:00Z"], ["--set", "time.realtime=-1000d"],
                  ["--set", "time.rate=0.1"], ["--set", "time.rate=0"]):
        r = case.status(case.program("time/stamps", "set", "/tmp/f", options=[*clock, *GUEST]), 0)
        case.equal(" ".join(clock), r.out.splitlines(), want.splitlines())


@test("time", users=("root", "user"), programs=["time/stamps"])
def a_path_that_changes_meanwhile(case):
    """What is behind a directory that the caller may not search is never seen."""
    d = tree(case)
    r = case.shell(f"cp -r {d}/sub {d}/shut /tmp/ && chmod 700 /tmp/shut && rm -f /tmp/sub/in && chmod 777 /tmp && "
                   f"exec {case.ctx.program('time/stamps')} flip /tmp", options=[*SETTABLE, *GUEST], timeout=120)
    case.true(r.text(), r.status == 0 and r.out.startswith("ok"))


def lines_of(case, script, *options, timeout=60):
    r = case.shell("set -e; cd /tmp; " + script, options=[*GUEST, *options], timeout=timeout)
    case.status(r, 0)
    return r.out.splitlines()


@test("time", users=USERS)
def new_files_have_the_guests_date(case):
    case.equal("year", lines_of(case, ": > f; stat -c %y f | cut -c 1-15; ls -l --time-style=+%Y f | grep -o 2038; "
                                "find . -maxdepth 1 -name f -newermt 2038-01-18; "
                                "python3 -c 'import os, time; s = os.stat(\"f\"); print(time.gmtime(s.st_mtime).tm_year, "
                                "abs(time.time() - s.st_ctime) < 60)'",
                                "--set", "time.realtime=2038-01-18T12:00:30Z"),
               ["2038-01-18 12:0", "2038", "./f", "2038 True"])


@test("time", users=("user", "single"), programs=["time/stamps"])
def where_ids_are_kept_by_the_guest_kernel(case):
    """uid = single: stat and utimens are answered elsewhere, by the same clock, for its root and for its users."""
    for who in ("", "setpriv --reuid 33 --regid 33 --clear-groups "):
        if who and shutil.which("setpriv") is None:
            continue
        got = lines_of(case, f"mkdir -m 777 d; {who}/bin/sh -ec 'cd d; : > f; stat -c %y f | cut -c 1-15; "
                       "python3 -c \"import os, time; s = os.stat(0); t = os.stat(\\\"f\\\"); print(abs(time.time() - t.st_ctime) < 60)\"; "
                       "touch -d \"2011-12-13 14:15:16\" a; cp -p a b; tar cf t a; mkdir x; tar xf t -C x; touch -r a c; "
                       "stat -c %Y a b x/a c; find . -name f -newermt 2038-01-18'",
                       "--set", "ids.uid=single", "--set", "time.realtime=2038-01-18T12:00:30Z")
        case.equal(who or "root", got, ["2038-01-18 12:0", "True"] + ["1323785716"] * 4 + ["./f"])
    want = case.status(case.program("time/stamps", "set", "/tmp/f", options=["--set", "ids.uid=single", *SETTABLE]), 0).out
    r = case.status(case.program("time/stamps", "set", "/tmp/f", options=["--set", "ids.uid=single", *AHEAD, *GUEST]), 0)
    case.equal("what was set is shown", r.out.splitlines(), want.splitlines())


@test("time", users=USERS)
def raw_stamps_stay_the_hosts(case):
    r = case.shell("cd /tmp; : > f; stat -c %y f; date +%Y", options=["--set", "time.realtime=2038-01-18T12:00:00Z"])
    case.true(r.text(), r.out.split()[-1] == "2038" and not r.out.startswith("2038"))


@test("time", users=USERS)
def tools_keep_dates(case):
    """touch -d, touch -r, cp -p, tar c and x, os.utime: the date that was given is the date that is shown."""
    for clock in (AHEAD, ["--set", "time.rate=10"], ["--set", "time.realtime=2038-01-18T12:00:00Z"]):
        got = lines_of(case, "touch -d '2011-12-13 14:15:16' a; cp -p a b; tar cf t a; mkdir x; tar xf t -C x; "
                       "touch -r a c; python3 -c 'import os; open(\"d\", \"w\"); os.utime(\"d\", (1, 1323785716))'; "
                       "stat -c %Y a b x/a c d; stat -c %y a > 1; stat -c %y b > 2; cmp 1 2; "
                       "tar tvf t | grep -o '2011-12-13 14:15'; find . -maxdepth 1 -name d -newer a",
                       *clock)
        case.equal(" ".join(clock), got, ["1323785716"] * 5 + ["2011-12-13 14:15"])


@test("time", users=USERS)
def stamps_move_with_the_clock_and_keep_their_order(case):
    """After date -s, both ways: old stays older than new, and as old as it was."""
    need("make")
    makefile = "printf 'out: in\\n\\tcp in out; echo made\\n' > Makefile; "
    make = "make -s out"
    for there in ("2038-01-18 12:00:00", "2001-01-18 12:00:00"):
        got = lines_of(case, makefile + f"echo 1 > in; {make}; {make}; date -s '{there}' > /dev/null; {make}; sleep 0.02; "
                       f"echo 2 > in; {make}; {make}; cat out; stat -c %y out | cut -c 1-10; "
                       "touch -d '-1 day' out; " + make, *SETTABLE)
        got = [line for line in got if "up to date" not in line]
        case.equal(there, got, ["made", "made", "2", there[:10], "made"])


@test("time", users=("root", "user"))
def a_rate_ages_new_files(case):
    """Ten times as fast: a file that was made before a second of the guest's is a second older."""
    r = lines_of(case, "python3 - <<'E'\nimport os, time\nopen('a', 'w')\nt = time.time()\nwhile time.time() < t + 20: time.sleep(0.1)\n"
                 "open('b', 'w')\nprint(os.stat('b').st_mtime - os.stat('a').st_mtime >= 19.8, os.stat('b').st_mtime <= time.time())\nE",
                 "--set", "time.rate=10")
    case.equal("age", r, ["True True"])


@test("time", users=("root", "user"))
def static_programs_see_the_same(case):
    busybox = shutil.which("busybox")
    if not busybox:
        raise Skipped("no busybox")
    got = lines_of(case, f": > f; {busybox} stat -c %y f | cut -c 1-4; {busybox} touch -d '2011-12-13 14:15:16' f; "
                   f"{busybox} stat -c %Y f; stat -c %Y f", "--set", "time.realtime=2038-01-18T12:00:00Z")
    case.equal("busybox", got, ["2038", "1323785716", "1323785716"])


@test("time", users=USERS)
def what_stops_for_stamps(case):
    """Only with stamps = guest, and only with a clock of the guest's own."""
    stops = {}
    for what, options in (("raw", SETTABLE), ("guest", [*SETTABLE, *GUEST]), ("no clock", GUEST)):
        name = case.detached("/bin/sleep", "100", options=options)
        case.status(case.weir("exec", name, "--", "/bin/ls", "-l", "/etc"), 0)
        stats = case.stats(name)
        stops[what] = {t["syscall"] for t in stats["traps"] if re.search("stat|utim", t["syscall"]) and t["count"]}
        case.weir("kill", name)
    case.equal("raw", stops["raw"], set())
    case.equal("no clock", stops["no clock"], set())
    case.true(f"guest: {stops['guest']}", stops["guest"] & {"newfstatat", "statx", "fstat"})


# -- other things that show time ---------------------------------------------

SOCKET = """
import errno, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
def ask(option, value):
    try: s.setsockopt(socket.SOL_SOCKET, option, value); return 'ok'
    except OSError as e: return errno.errorcode[e.errno]
print(*[ask(option, 1) for option in (29, 35, 37, 63, 64, 65)], ask(29, 0), ask(socket.SO_KEEPALIVE, 1))
import fcntl
for request in (0x8906, 0x8907):
    try: fcntl.ioctl(s, request, bytes(16)); print('ok')
    except OSError as e: print(errno.errorcode[e.errno])
"""


@test("time", users=USERS)
def packets_have_no_other_time(case):
    """SO_TIMESTAMP and its relatives are refused, and logged, where the stamps would not be the guest's."""
    r = case.run("python3", "-c", SOCKET, options=["-v", *AHEAD])
    case.equal("refused", r.out.split(), ["ENOPROTOOPT"] * 6 + ["ok", "ok", "ENOENT", "ENOENT"])
    case.matches("the log", r.err, r"time: setsockopt: time stamps of packets \(option 29\) refused")
    r = case.run("python3", "-c", SOCKET, options=SETTABLE)
    case.equal("the host's clock", r.out.split()[:8], ["ok"] * 8)


BOOT = """
import os, subprocess, time
def read(path): return open(path).read()
now, boot = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
up = float(read('/proc/uptime').split()[0])
btime = int([l for l in read('/proc/stat').splitlines() if l.startswith('btime')][0].split()[1])
import ctypes
class Info(ctypes.Structure): _fields_ = [('uptime', ctypes.c_long), ('rest', ctypes.c_char * 256)]
info = Info(); ctypes.CDLL(None).sysinfo(ctypes.byref(info))
log = [l for l in subprocess.run(['dmesg', '-r'], capture_output=True, text=True).stdout.splitlines() if 'weir' in l][0]
logged = float(log.split('[')[1].split(']')[0])
started = int(read('/proc/self/stat').rsplit(') ', 1)[1].split()[19]) / 100 + btime
print(abs(up - boot) <= 120, abs(now - boot - btime) <= 3, abs(info.uptime - boot) <= 120, boot - 700 <= logged <= boot, started - now)
"""


@test("time", users=USERS)
def uptime_and_boot_time_are_of_the_guests_clocks(case):
    """/proc/uptime, btime of /proc/stat, sysinfo, dmesg agree with CLOCK_BOOTTIME, whatever the clock."""
    for clock in (AHEAD, ["--set", "time.realtime=2038-01-18T12:00:00Z"], ["--set", "time.rate=10"],
                  ["--set", "time.rate=0"], ["--set", "time.rate=0.1"], []):
        r = case.status(case.run("python3", "-c", BOOT, options=clock), 0)
        case.equal(" ".join(clock), r.out.split()[:4], ["True"] * 4)
        if "rate" not in " ".join(clock):
            case.true(f"{clock}: a process started just now: {r.out}", -60 <= float(r.out.split()[4]) <= 2)


@test("time", users=("root", "user"))
def tools_show_the_guests_dates(case):
    """uptime -s, ps -o lstart, dmesg -T, and a login record: all of 2038; CPU time is the host's."""
    r = case.shell("uptime -s; LC_ALL=C ps -o lstart= -p $$; dmesg -T | tail -n 1; date +%Y", options=[
        "--set", "time.realtime=2038-01-18T12:00:00Z"])
    lines = r.out.splitlines()
    case.true(r.text(), lines[0].startswith("2038") or lines[0].startswith("2037"))
    case.true("ps: " + lines[1], lines[1].endswith(" 2038"))
    case.matches("dmesg -T", lines[2], r"^\[.* Jan 18 1[12]:\d\d:\d\d 2038\]")
    r = case.shell("python3 -c 'import time\nt = time.time()\nwhile time.time() < t + 1: pass\nprint(time.process_time())'",
                   options=["--set", "time.rate=10"])
    case.true(f"a second of the guest's is a tenth of CPU time: {r.out}", float(r.out) < 0.9)

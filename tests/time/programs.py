# SPDX-License-Identifier: Apache-2.0
"""Suite "time", with programs that people run: databases, and what libfaketime promises"""

import os
import re
import time

from harness import need, need_java_compiler, test

USERS = ("root", "user", "single")
DAY = 86400
OWN = ["--set", "time.settable=yes"]


@test("time", users=USERS)
def keys_of_redis_expire(case):
    """EXPIRE counts by the guest's clock: a key is there an hour before its end, and not an hour after."""
    need("redis-server", "redis-cli")
    script = """cd /tmp
redis-server --port 0 --unixsocket /tmp/r.sock --dir /tmp --save '' --daemonize yes --pidfile /tmp/r.pid >/dev/null
cli='redis-cli -s /tmp/r.sock'
for i in $(seq 200); do $cli ping >/dev/null 2>&1 && break; sleep 0.05; done
$cli set key value ex 86400
date -s '+23 hours' >/dev/null
$cli get key
$cli ttl key
date -s '+2 hours' >/dev/null
$cli exists key
$cli time | head -n 1
date +%s
"""
    r = case.shell(script, options=OWN, timeout=60)
    said = r.out.split()
    case.equal("lines", len(said), 6)
    case.equal("before", said[:2], ["OK", "value"])
    case.true(f"an hour is left: {said[2]}", 3500 <= int(said[2]) <= 3601)
    case.equal("after", said[3], "0")
    case.true(f"{said[4]} and {said[5]}", abs(int(said[5]) - int(said[4])) <= 5)


POSTGRES = """set -e
mkdir -m 777 /tmp/pg
cat >/tmp/sql
setpriv --reuid nobody --regid nogroup --clear-groups /bin/sh -c 'cd /tmp/pg; LC_ALL=C; export LC_ALL
initdb -N -A trust -D /tmp/pg/data >/tmp/pg/log 2>&1 || { cat /tmp/pg/log; exit 1; }
postgres --single -D /tmp/pg/data -c log_min_messages=fatal -c client_min_messages=error postgres </tmp/sql'
"""


def postgres(case, sql, options):
    need("initdb", "postgres", "setpriv")
    r = case.shell(POSTGRES, options=options, stdin=sql, timeout=110)
    return re.findall(r'"?(?:t|n|took)[^"\n]* = "([^"]*)"', r.out), r


@test("time", users=("root", "user"))
def postgres_says_what_time_it_is(case):
    sql = "select extract(epoch from now())::bigint as t;\nselect to_char(now() at time zone 'UTC', 'YYYY') as t;\n"
    begin = time.time()
    values, r = postgres(case, sql, ["--set", "time.realtime=+3652d"])
    case.equal(r.text(), len(values), 2)
    now = int(values[0]) - 3652 * DAY
    case.true(f"{now} is not between {begin} and now", int(begin) - 1 <= now <= time.time() + 1)
    case.equal("year", values[1], time.strftime("%Y", time.gmtime(int(values[0]))))


@test("time", users=("root", "user"))
def postgres_waits_by_the_guest(case):
    """pg_sleep (epoll) and statement_timeout (setitimer) of a guest that travels."""
    sql = ("create temp table b as select clock_timestamp() as at;\n"
           "select pg_sleep(86400);\n"
           "select (extract(epoch from clock_timestamp() - at) / 3600)::int as took from b;\n"
           "set statement_timeout = '1h';\n"
           "select pg_sleep(86400);\n"
           "set statement_timeout = 0;\n"
           "select (extract(epoch from clock_timestamp() - at) / 3600)::int as took from b;\n")
    values, r = postgres(case, sql, ["--set", "time.idle=travel"])
    case.equal(r.text(), values, ["24", "25"])


JAVA = """
import java.util.concurrent.*;
public class Timers {
    static long real, mono;
    static void took(String what, long ms) {
        long r = System.currentTimeMillis() - real, m = (System.nanoTime() - mono) / 1000000;
        boolean right = r >= ms - 20 && m >= ms - 20 && r < ms + 60000 && Math.abs(r - m) < 2000;
        System.out.println(what + (right ? " ok" : " " + r + " " + m));
        begin();
    }
    static void begin() { real = System.currentTimeMillis(); mono = System.nanoTime(); }
    public static void main(String[] args) throws Exception {
        System.out.println(java.time.Year.now(java.time.ZoneOffset.UTC));
        Object o = new Object();
        begin();
        Thread.sleep(2000);
        took("sleep", 2000);
        synchronized (o) { o.wait(2000); }
        took("wait", 2000);
        ScheduledExecutorService s = Executors.newScheduledThreadPool(1);
        begin();
        s.schedule(() -> { }, 2, TimeUnit.SECONDS).get();
        took("schedule", 2000);
        begin();
        new CountDownLatch(1).await(2, TimeUnit.SECONDS);
        took("await", 2000);
        s.shutdown();
    }
}
"""


@test("time", users=("root", "user"))
def timers_of_java(case):
    """Sleeps and timed waits of a guest that is ten times as fast, and far ahead: as long as they should be by its clocks."""
    need_java_compiler()
    path = os.path.join(case.directory(), "Timers.java")
    case.write(path, JAVA)
    r = case.run("java", "-Xshare:auto", path, options=["--set", "time.realtime=2100-06-01T00:00:00Z", "--set", "time.rate=10"], timeout=110)
    case.equal(r.text(), r.out.split("\n"), ["2100", "sleep ok", "wait ok", "schedule ok", "await ok", ""])


CLOCKS = """
import os, subprocess, sys, time
def read():
    return time.time(), time.clock_gettime(time.CLOCK_REALTIME), float(int(time.clock_gettime(5)))
a = read()
mono = time.monotonic()
time.sleep(0.2)
print(a[0], max(a) - min(a), time.time() - a[0], time.monotonic() - mono)
sys.stdout.flush()
if os.fork() == 0:
    print(time.time()); sys.stdout.flush(); os._exit(0)
os.wait()
subprocess.run(["date", "+%s.%N"])
"""

# As in libfaketime's README: what is written there, keys of [time], what the date is
# when it is @now outside (None: any), and how fast it goes.
FAKETIME = {
    "-15d": ("realtime=-15d", lambda now: now - 15 * DAY, 1),
    "+2y": ("realtime=+730d", lambda now: now + 730 * DAY, 1),
    "+1h": ("realtime=+1h", lambda now: now + 3600, 1),
    "@2000-01-01 11:12:13": ("realtime=2000-01-01T11:12:13Z", lambda now: 946725133, 1),
    "2008-12-24 08:15:42": ("realtime=2008-12-24T08:15:42Z rate=0", lambda now: 1230106542, 0),
    "+1d x2": ("realtime=+1d rate=2", lambda now: now + DAY, 2),
    "-1y x0.5": ("realtime=-365d rate=0.5", lambda now: now - 365 * DAY, 0.5),
    "@2000-01-01 00:00:00 x10": ("realtime=2000-01-01T00:00:00Z rate=10", lambda now: 946684800, 10),
}


@test("time", users=("root", "user"))
def what_libfaketime_promises(case):
    for name, (keys, date, rate) in FAKETIME.items():
        if rate == 0:
            code = CLOCKS.replace("time.sleep(0.2)", "for i in range(200000): pass")
        else:
            code = CLOCKS
        begin = time.time()
        options = [x for key in keys.split() for x in ("--set", "time." + key)]
        r = case.run("python3", "-c", code, options=options, timeout=60)
        end = time.time()
        first, *later = r.out.splitlines()
        at, spread, real, mono = map(float, first.split())
        low, high = date(begin), date(end) + rate * (end - begin)
        case.true(f"{name}: {at} is not between {low} and {high}", low - 1 <= at <= high + 1)
        case.true(f"{name}: its clocks differ by {spread} s", spread < 1.1)
        case.true(f"{name}: {real} s by one clock, {mono} s by another", abs(real - mono) < 0.05 * max(rate, 1) + 0.05)
        case.true(f"{name}: {real} s of a sleep", real == 0 if rate == 0 else 0.199 <= real < 0.2 + rate * (end - begin))
        case.equal(f"{name}: lines", len(later), 2)
        for line in later:
            case.true(f"{name}: a child reads {line}", at <= float(line) <= at + rate * (end - begin) + 0.001)

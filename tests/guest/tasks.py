# SPDX-License-Identifier: Apache-2.0
"""Suite "sched": tasks, CPUs and placement of a guest, as weir stats shows them

The programs put tasks into known states (tasks.c) and say "ready"; a test then asks
weir stats until it says what is true, and fails when it never does.
"""

import os
import select
import subprocess
import time

import harness
from harness import Failed, Skipped, need, test

PROGRAM = ("guest/tasks",)
PATIENCE = 10
REST = 15  # seconds that a rest may take, with what one drain overdraws
PERF = ["--set", "sched.source=perf"]
TRAPS = ["--set", "sched.source=traps"]


def cpus():
    return len(os.sched_getaffinity(0))


def perf_is_permitted(case):
    r = case.run("/bin/true", options=PERF)
    if r.status != 0:
        raise Skipped("the host does not permit source = perf: " + r.err.strip())


def started(case, *args, options=(), name=None, env=None):
    """A guest in which tasks.c has said "ready"; the guest's name."""
    p = case.start(case.ctx.program("guest/tasks"), *args, options=options, name=name, env=env)
    line = p.stdout.readline().decode()
    if line != "ready\n":
        p.wait(10)
        raise Failed(f"not ready: {line!r} {p.stderr.read().decode()}")
    return p.guest


def eventually(case, name, what, true, patience=PATIENCE):
    """Asks until true(stats) is; the last answer."""
    deadline = time.monotonic() + patience
    while True:
        s = case.stats(name)
        if true(s):
            return s
        if time.monotonic() > deadline:
            tasks = [{k: t[k] for k in ("pid", "ppid", "comm", "state", "sleeps", "run_ns")} for t in s["tasks"]]
            sched = {k: v for k, v in s["sched"].items() if k != "vcpus"}
            raise Failed(f"never: {what}\n{sched}\n" + "\n".join(map(str, tasks[:40])))
        time.sleep(0.02)


def named(s, comm):
    return [t for t in s["tasks"] if t["comm"] == comm]


def states(s, comm):
    return [t["state"] for t in named(s, comm)]


def both_sources(function):
    """The test once for each source."""
    def perf(case):
        perf_is_permitted(case)
        function(case, PERF)

    def traps(case):
        function(case, TRAPS)

    for source, run in (("perf", perf), ("traps", traps)):
        harness.add("sched", f"{function.__name__.replace('_', '-')}-{source}", run, users=("root", "user", "single"),
                    policies=("hosting",), programs=PROGRAM)
    return function


# -- states ------------------------------------------------------------------


@both_sources
def states_of_sleepers(case, source):
    name = started(case, "sleepers", options=source)
    for comm in ("t-pipe", "t-futex", "t-nanosleep", "t-flock"):
        eventually(case, name, f"{comm} sleeps", lambda s: states(s, comm) == ["sleeping"])
    s = eventually(case, name, "t-stopped is stopped", lambda s: states(s, "t-stopped") == ["stopped"])
    main = [t for t in s["tasks"] if t["comm"] == "tasks"][0]
    for t in named(s, "t-pipe"):
        case.equal("parent in the guest's numbers", t["ppid"], main["pid"])
        case.true("the host's number is another", t["host_pid"] > 1)
        case.equal("guest root", t["uid"], 0)
    case.true("pid 1 is there", any(t["pid"] == 1 for t in s["tasks"]))


def host_gives(pid):
    """The next process of the host has this id, unless another one is quicker."""
    try:
        with open("/proc/sys/kernel/ns_last_pid", "w") as f:
            f.write(str(pid - 1))
    except OSError:
        pass  # not root, or a host without checkpoint/restore: its ids come again by chance only


@both_sources
def a_pid_comes_again(case, source):
    """A task with the pid of one that is gone, and where root runs this with its host pid, is another one."""
    p = case.start(case.ctx.program("guest/tasks"), "reuse", options=source, stdin=subprocess.PIPE)

    def tell():
        p.stdin.write(b"\n")
        p.stdin.flush()

    def line():
        if not select.select([p.stdout], [], [], PATIENCE)[0]:
            raise Failed("the guest's program says nothing")
        return p.stdout.readline().decode().strip()

    for _ in range(10):
        tell()
        case.equal("it has run for 200 ms", line(), "burnt")
        first = named(eventually(case, p.guest, "t-first sleeps", lambda s: states(s, "t-first") == ["sleeping"]),
                      "t-first")[0]
        case.true(f"its time is counted: {first}", first["run_ns"] > 150_000_000)
        tell()
        case.equal("it is gone", line(), "gone")
        host_gives(first["host_pid"])
        tell()
        pids = line().split()
        if len(pids) == 1:
            raise Skipped(f"the host does not let a guest choose a pid: {pids[0]}")
        case.equal("the pid is the same", pids[0], pids[1])
        s = eventually(case, p.guest, "t-second sleeps", lambda s: states(s, "t-second") == ["sleeping"])
        second = named(s, "t-second")[0]
        case.equal("its pid", second["pid"], first["pid"])
        case.equal("nobody else has it", sum(t["pid"] == first["pid"] for t in s["tasks"]), 1)
        case.equal("nothing is left of the first", named(s, "t-first"), [])
        case.true(f"it has a time of its own: {second}", second["run_ns"] < 100_000_000)
        tell()
        if second["host_pid"] == first["host_pid"]:
            return
    case.note("with the host's pid another one each time")


@both_sources
def a_spinner_runs(case, source):
    name = started(case, "spinners", options=source)
    s = eventually(case, name, "it runs", lambda s: states(s, "t-spin") in (["running"], ["runnable"]))
    before = named(s, "t-spin")[0]["run_ns"]
    s = eventually(case, name, "its time goes on", lambda s: named(s, "t-spin")[0]["run_ns"] > before + 100_000_000)
    case.true("the guest is not idle", not s["sched"]["idle"])
    case.true("a CPU was busy", sum(c["busy_ns"] for c in s["sched"]["vcpus"]) > 100_000_000)
    case.true("one runs", s["sched"]["runnable"] >= 1)


@both_sources
def zombies_are_seen_and_forgotten(case, source):
    name = started(case, "zombies", "3", options=source)
    eventually(case, name, "three zombies", lambda s: states(s, "t-zombie") == ["zombie"] * 3)
    p = case.command([case.ctx.weir, "exec", name, "--", "/bin/sh", "-c", "/bin/true; /bin/true; /bin/sleep 0.1"])
    case.status(p, 0)
    s = eventually(case, name, "those that were waited for are gone",
                   lambda s: not named(s, "true") and not named(s, "sleep"))
    case.equal("the others are not", states(s, "t-zombie"), ["zombie"] * 3)


@both_sources
def threads_are_tasks(case, source):
    name = started(case, "threads", "5", options=source)
    s = eventually(case, name, "five threads sleep", lambda s: states(s, "t-thread") == ["sleeping"] * 5)
    tgids = {t["tgid"] for t in named(s, "t-thread")}
    case.equal("one process", len(tgids), 1)
    case.equal("which has a pid of its own for each", len({t["pid"] for t in named(s, "t-thread")}), 5)
    case.true("its first thread is listed", any(t["pid"] == t["tgid"] and t["tgid"] in tgids for t in s["tasks"]))


@both_sources
def exec_by_a_thread(case, source):
    name = started(case, "exec-by-thread", options=source)
    s = eventually(case, name, "the program that was executed",
                   lambda s: len(named(s, "t-execed")) == 1 and not named(s, "t-thread"))
    t = named(s, "t-execed")[0]
    case.equal("it has the process's id", t["pid"], t["tgid"])
    before = t["sleeps"]
    eventually(case, name, "it is observed still", lambda s: named(s, "t-execed")[0]["sleeps"] > before + 5)


@both_sources
def an_orphan_has_init_for_parent(case, source):
    name = started(case, "orphan", options=source)
    s = eventually(case, name, "the orphan has a new parent",
                   lambda s: [t["ppid"] for t in named(s, "t-orphan")] == [1])
    case.equal("the parent is gone", named(s, "t-parent"), [])


@both_sources
def a_thousand_tasks(case, source):
    name = started(case, "many", "1000", options=source)
    s = eventually(case, name, "a thousand sleep", lambda s: states(s, "t-many") == ["sleeping"] * 1000)
    case.true("counted", s["sched"]["tasks"] >= 1000)
    pids = {t["pid"] for t in s["tasks"]}
    case.equal("each once", len(pids), len(s["tasks"]))


# -- counts: only the host's records know these --------------------------------


@test("sched", users=("root", "user", "single"), programs=PROGRAM)
def short_lives_are_counted(case):
    perf_is_permitted(case)
    name = started(case, "short-lives", "10", options=PERF)
    before = eventually(case, name, "it is observed", lambda s: s["sched"]["observing"])["sched"]
    p = case.command([case.ctx.weir, "exec", name, "--", "/bin/sh", "-c",
                      "i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done"])
    case.status(p, 0)
    after = case.stats(name)["sched"]
    # An ordinary user may observe the first process only from its exec on.
    want = 200 if case.user.kind == "root" else 190
    for key in ("forks", "execs", "exits"):
        case.true(f"200 {key}: {before[key]} to {after[key]}", after[key] - before[key] >= want)
    case.equal("none of them is there still", named(case.stats(name), "true"), [])


def resting(s):
    return s["sched"]["observer"]["rests"] > 0 and not s["sched"]["observing"]


def kill_named(s, comm):
    for t in named(s, comm):
        try:
            os.kill(t["host_pid"], 9)
        except ProcessLookupError:
            pass


@test("sched", users=("root", "user"), serial=True, programs=PROGRAM)
def too_many_switches_are_not_observed(case):
    """They rest; who asks meanwhile is told from /proc, and later records come again."""
    perf_is_permitted(case)
    name = started(case, "yielders")
    s = eventually(case, name, "a rest", resting)
    case.equal("because of the switches", s["sched"]["observer"]["reason"], "it switches so often")
    case.matches("in the log", case.weir("log", name).out, r"sched: rest 1, of \d+ ms: it switches so often")
    case.true("all could run", all(x in ("running", "runnable") for x in states(s, "t-yield")))
    case.equal("all are there", len(states(s, "t-yield")), 6)
    case.equal("the source is the same", s["sched"]["source"], "perf")
    kill_named(s, "t-yield")
    s = eventually(case, name, "they are gone", lambda s: not named(s, "t-yield") or
                   all(x in ("zombie", "dead") for x in states(s, "t-yield")))
    s = eventually(case, name, "observed again", lambda s: s["sched"]["observing"], 3 * REST)
    case.matches("in the log", case.weir("log", name).out, r"sched: observing again after rest 1: ")
    forks = s["sched"]["forks"]
    # As many as outlast the moment until a user's command is observed.
    script = "i=0; while [ $i -lt 400 ]; do /bin/true; i=$((i+1)); done"
    case.status(case.weir("exec", name, "--", "/bin/sh", "-c", script), 0)
    eventually(case, name, "records come", lambda s: s["sched"]["forks"] >= forks + 5)


@test("sched", users=("root", "user"), serial=True, programs=PROGRAM)
def observing_costs_no_more_than_its_budget(case):
    """Whatever the guest does: looks are as seldom as they are dear."""
    perf_is_permitted(case)
    for what, reason, cost in (("yielders", "it switches so often", "records_cost_ns"),
                               ("workers", "it forks so often", "forks_cost_ns")):
        name = started(case, what)
        s = eventually(case, name, "three rests", lambda s: s["sched"]["observer"]["rests"] >= 3, 6 * REST)
        o, up = s["sched"]["observer"], s["guest"]["uptime_ns"]
        spent = sum(o[f"{x}_cost_ns"] for x in ("records", "calls", "forks", "attach"))
        # 1 ms to begin with, half a percent of each busy CPU, what one drain overdraws, and the second after it
        case.true(f"{spent} ns of {up}: {o}", spent <= 3e6 + up * 0.005 * cpus() + 40e6 + 50e6)
        case.true(f"that is what it went for: {o}", o[cost] > 0)
        if what == "yielders":
            case.equal("the reason", o["reason"], reason)
        case.matches("for people", case.weir("stats", name).out,
                     r"(?m)^ +(not observed now|observed), at a cost of [\d.]+ ms; \d+ rests, as it ")
        case.weir("kill", name)


@test("sched", users=("root", "user"), policies=("hosting", "all-trap"), serial=True, programs=PROGRAM)
def calls_that_stop_have_a_price(case):
    """Beside their records: the guest rests for them, too; where no call stops, none is charged."""
    perf_is_permitted(case)
    name = started(case, "yielders")
    s = eventually(case, name, "a rest", resting)
    cost = s["sched"]["observer"]["calls_cost_ns"]
    if case.policy == "all-trap":
        case.true(f"so much for calls: {cost}", cost > 0)
    else:
        case.true(f"a few of the start at most: {cost}", cost < 100000)


@test("sched", users=("root", "user"), serial=True, programs=PROGRAM)
def run_time_of_the_unobserved_counts(case):
    """Tasks that come and go in a rest: who waited for them knows what they ran."""
    perf_is_permitted(case)
    name = started(case, "workers")
    s = eventually(case, name, "a rest", resting)
    # A worker that was made a moment ago still has the name: the boss is the eldest.
    boss = min(named(s, "t-boss"), key=lambda t: t["pid"])["host_pid"]

    def both():
        """The guest's busy time, between two moments of what the host knows."""
        before = tree_time(boss)
        busy = sum(v["busy_ns"] for v in case.stats(name)["sched"]["vcpus"]) / 1e9
        return before, busy, tree_time(boss)

    first, deadline = both(), time.monotonic() + 30
    while True:
        last = both()
        if last[0] - first[2] > 1:
            break
        case.true("the workers run", time.monotonic() < deadline)
        time.sleep(0.1)
    least, most, told = last[0] - first[2], last[2] - first[0], last[1] - first[1]
    case.true(f"ran for {least:.2f} to {most:.2f} s, and {told:.2f} are told", 0.7 * least - 0.1 < told < 1.3 * most + 0.1)


def tree_time(pid):
    """Run time of a process and of the children that it has waited for."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def rest_ended_early(case, what, change):
    """Whether change(name, stats) in a guest's rest ended that; tried again, as a rest may also just be over."""
    for _ in range(4):
        name = started(case, what)
        change(name, eventually(case, name, "a rest", resting))
        s = eventually(case, name, "observed again", lambda s: s["sched"]["observing"] or s["sched"]["observer"]["early_ends"],
                       3 * REST)
        if s["sched"]["observer"]["early_ends"]:
            return name
        case.weir("kill", name)
    raise Failed("four rests in turn went on to their end")


@test("sched", users=("root", "user"), serial=True, programs=PROGRAM)
def a_guest_that_falls_asleep_is_not_left_unobserved(case):
    """A rest may be 10 s long; that all tasks sleep is known before."""
    perf_is_permitted(case)
    name = rest_ended_early(case, "yielders", lambda name, s: kill_named(s, "t-yield"))
    eventually(case, name, "it is known to be idle", lambda s: s["sched"]["observing"] and s["sched"]["idle"], 3 * REST)
    # Where the host is busy, some may have got no CPU while it was observed.
    case.matches("in the log", case.weir("log", name).out,
                 r"sched: observing again after rest \d+: (the guest has become calm|tasks switch that did not)")


@test("sched", users=("root", "user"), serial=True, programs=PROGRAM)
def a_pair_that_begins_in_a_rest_is_looked_at(case):
    perf_is_permitted(case)

    def begin_another(name, s):
        p = subprocess.Popen([case.ctx.weir, "exec", name, "--", case.ctx.program("guest/tasks"), "ping-pong"],
                             env=case.user.env(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **case.user.popen_ids())
        case.cleanups.append(lambda: harness.stop_popen(p))

    name = rest_ended_early(case, "ping-pong", begin_another)
    eventually(case, name, "both pairs are known", lambda s: len(pair_of(s)) == 4)


@test("sched", users=("root", "user"), serial=True, programs=PROGRAM)
def observed_whatever_it_costs(case):
    """source = perf means it."""
    perf_is_permitted(case)
    name = started(case, "yielders", options=PERF)
    s = eventually(case, name, "more than any budget", lambda s: s["sched"]["observer"]["records_cost_ns"] > 200e6)
    case.equal("rests", s["sched"]["observer"]["rests"], 0)
    case.true("observed", s["sched"]["observing"])


@test("sched", users=("root", "user"), serial=True, programs=PROGRAM)
def a_pair_stays_together_unobserved(case):
    """Who is on one CPU switches so often that it is not observed for long; it is left where it is."""
    perf_is_permitted(case)
    if cpus() < 2:
        raise Skipped("this machine has one CPU")
    name = started(case, "ping-pong")
    s = eventually(case, name, "a rest", resting)
    if not s["sched"]["pairs"]:
        raise Skipped("the host had them on one CPU itself")
    pids = [t["host_pid"] for t in pair_of(s)]
    masks = {frozenset(os.sched_getaffinity(pid)) for pid in pids}
    case.equal("both on one CPU", [len(m) for m in masks], [1])
    kill_named(s, "t-pong")
    s = eventually(case, name, "the other is free", lambda s: not s["sched"]["pairs"])
    case.equal("the reason", s["sched"]["decisions"][0]["reason"], "the other has ended")


@test("sched", users=("root", "user", "single"), programs=PROGRAM)
def sleeps_are_counted(case):
    perf_is_permitted(case)
    name = case.detached("/bin/sleep", "100", options=PERF)
    eventually(case, name, "it is observed", lambda s: s["sched"]["observing"])
    p = subprocess.Popen([case.ctx.weir, "exec", name, "--", case.ctx.program("guest/tasks"), "naps", "300"],
                         env=case.user.env(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **case.user.popen_ids())
    case.cleanups.append(lambda: harness.stop_popen(p))
    case.equal("it is done", p.stdout.readline(), b"ready\n")
    s = eventually(case, name, "it sleeps", lambda s: states(s, "t-naps") == ["sleeping"])
    n = named(s, "t-naps")[0]["sleeps"]
    case.true(f"300 naps were {n} sleeps", 300 <= n <= 330)


@test("sched", users=("root", "user", "single"), programs=PROGRAM)
def waiting_for_a_page_is_sleep(case):
    """A page fault on a file that is not in memory: the task leaves its CPU, and no call was made."""
    perf_is_permitted(case)
    name = case.detached("/bin/sleep", "100", options=PERF)
    eventually(case, name, "it is observed", lambda s: s["sched"]["observing"])
    p = subprocess.Popen([case.ctx.weir, "exec", name, "--", case.ctx.program("guest/tasks"), "faults", "40"],
                         env=case.user.env(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **case.user.popen_ids())
    case.cleanups.append(lambda: harness.stop_popen(p))
    case.equal("it is done", p.stdout.readline(), b"ready\n")
    faults, slept = map(int, p.stdout.readline().split()[:2])
    if slept < 20:
        raise Skipped(f"{faults} major faults, {slept} sleeps: this file system's pages do not leave memory")
    s = eventually(case, name, "it sleeps", lambda s: states(s, "t-faults") == ["sleeping"])
    n = named(s, "t-faults")[0]["sleeps"]
    # An ordinary user may observe the process only from its exec on.
    case.true(f"{faults} faults and {slept} sleeps are {n}", slept - 5 <= n <= slept + 5)


@test("sched", users=("root", "user", "single"), programs=PROGRAM)
def idle_time(case):
    """A guest in which all sleep is idle, and says for how long."""
    perf_is_permitted(case)
    name = started(case, "sleepers", options=PERF)
    eventually(case, name, "it is idle", lambda s: s["sched"]["idle"])
    time.sleep(0.5)	# the observer looks a few times more before it goes to sleep itself
    a = case.stats(name)["sched"]
    time.sleep(0.5)
    b = case.stats(name)["sched"]
    case.true(f"half a second of it: {b['idle_ns'] - a['idle_ns']}", 450e6 < b["idle_ns"] - a["idle_ns"] < 5e9)
    case.equal("no wake-ups of the observer meanwhile", b["observer_wakeups"] - a["observer_wakeups"] <= 3, True)


@test("sched", users=("root", "user", "single"), programs=PROGRAM)
def who_sleeps_when_first_met_has_not_run(case):
    """Threads that slept before anybody observed them were taken for busy until the next walk."""
    perf_is_permitted(case)
    name = started(case, "sleepers", options=PERF)
    eventually(case, name, "it is observed", lambda s: s["sched"]["observing"])
    s = eventually(case, name, "all sleep", lambda s: states(s, "t-nanosleep") == ["sleeping"])
    for t in named(s, "t-nanosleep"):
        case.true(f"it ran for {t['run_ns']} ns and waited for {t['runnable_ns']}", t["run_ns"] + t["runnable_ns"] < 50e6)


@test("sched", users=("root", "user", "single"), programs=PROGRAM)
def load_average(case):
    perf_is_permitted(case)
    name = started(case, "spinners", "2", options=PERF)
    # One period of the kernel's arithmetic: 2 * (1 - exp(-5/60)) = 0.16 a period
    s = eventually(case, name, "a load", lambda s: s["sched"]["load"][0] > 0.12)
    case.true("1, 5, 15 minutes", s["sched"]["load"][0] > s["sched"]["load"][1] > s["sched"]["load"][2] > 0)


@test("sched", users=("root", "user"), programs=PROGRAM)
def set_id_programs_are_observed(case):
    """The host stops reporting at a set-id exec; weir does not."""
    perf_is_permitted(case)
    need("su")
    p = case.start("/bin/su", "-s", "/bin/sh", "nobody", "-c",
                   f"echo ready; exec {case.ctx.program('guest/tasks')} after-exec", options=PERF)
    case.equal("it starts", p.stdout.readline(), b"ready\n")
    s = eventually(case, p.guest, "the program behind su", lambda s: len(named(s, "t-execed")) == 1)
    before = named(s, "t-execed")[0]
    case.equal("another user's", before["uid"], 65534)
    eventually(case, p.guest, "its sleeps are seen",
               lambda s: named(s, "t-execed") and named(s, "t-execed")[0]["sleeps"] > before["sleeps"] + 10)


# -- sources --------------------------------------------------------------------


@test("sched", users=("root", "user", "single"), programs=PROGRAM)
def without_perf(case):
    env = {"WEIR_TEST_MASK": "perf"}
    r = case.run("/bin/true", options=PERF, env=env)
    case.one_line_error(r, 125, "source = perf")
    name = started(case, "sleepers", env=env)
    s = eventually(case, name, "it says so", lambda s: s["sched"]["source"] == "traps")
    case.true("tasks are there", named(s, "t-pipe"))
    case.matches("in the log", case.weir("log", name).out, "source traps, no placement: this host has no perf events")


@test("sched", users=("root", "user"), programs=PROGRAM)
def without_lists_of_children(case):
    """CONFIG_PROC_CHILDREN is not everywhere."""
    name = started(case, "sleepers", env={"WEIR_TEST_MASK": "procchildren,perf"})
    eventually(case, name, "tasks are found by their parents", lambda s: states(s, "t-pipe") == ["sleeping"])


@test("sched", users=("root", "user", "single"), programs=PROGRAM)
def what_exec_starts_is_observed(case):
    perf_is_permitted(case)
    name = case.detached("/bin/sleep", "100", options=PERF)
    time.sleep(0.2)
    p = subprocess.Popen([case.ctx.weir, "exec", name, "--", case.ctx.program("guest/tasks"), "after-exec"],
                         env=case.user.env(), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **case.user.popen_ids())
    case.cleanups.append(lambda: harness.stop_popen(p))
    case.equal("it runs", p.stdout.readline(), b"ready\n")
    s = eventually(case, name, "it is there", lambda s: named(s, "t-execed"))
    before = named(s, "t-execed")[0]["sleeps"]
    eventually(case, name, "and observed", lambda s: named(s, "t-execed")[0]["sleeps"] > before + 5)


# -- CPUs -------------------------------------------------------------------------


@test("sched", users=("root", "user", "single"), policies=("hosting", "jail", "all-trap"), programs=PROGRAM)
def one_cpu_is_one_cpu(case):
    """Eight that spin on one CPU of the guest's use one of the host's. (The bound is loose: figures are tools/bench's.)"""
    if cpus() < 2:
        raise Skipped("this machine has one CPU")
    name = started(case, "spinners", "8", options=["--set", "guest.vcpus=1"])
    s = eventually(case, name, "all run", lambda s: len(named(s, "t-spin")) == 8)
    pids = [t["host_pid"] for t in named(s, "t-spin")]
    allowed = {frozenset(os.sched_getaffinity(pid)) for pid in pids}
    case.equal("all on one CPU of the host's, the same", [len(a) for a in allowed], [1])
    case.equal("which stats names", [c["host_cpu"] for c in s["sched"]["vcpus"]], list(next(iter(allowed))))
    used, begin = cpu_time(pids), time.monotonic()
    time.sleep(1)
    used, took = cpu_time(pids) - used, time.monotonic() - begin
    case.true(f"{used / took:.2f} CPUs were used", used / took < 1.2)
    case.equal("the guest sees one", s["guest"]["vcpus"], 1)


def cpu_time(pids):
    total = 0.0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


@test("sched", users=("root", "user"), serial=True, programs=PROGRAM)
def guests_of_one_cpu_are_dealt_out(case):
    if cpus() < 2:
        raise Skipped("this machine has one CPU")
    on = []
    for _ in range(2):
        name = started(case, "sleepers", options=["--set", "guest.vcpus=1"])
        on += [c["host_cpu"] for c in case.stats(name)["sched"]["vcpus"]]
    case.true(f"on {on}", len(set(on)) == 2)


@test("sched", users=("root", "user"), serial=True, programs=PROGRAM)
def equal_guests_get_the_same(case):
    """Two guests that do the same. (The bound is loose: others run here, too.)"""
    names = [started(case, "spinners", str(2 * cpus())) for _ in range(2)]
    pids = [[t["host_pid"] for t in named(case.stats(name), "t-spin")] for name in names]
    before = [cpu_time(p) for p in pids]
    deadline = time.monotonic() + 60
    while sum(cpu_time(p) for p in pids) - sum(before) < 6:
        case.true("they run", time.monotonic() < deadline)
        time.sleep(0.1)
    ran = [cpu_time(p) - b for p, b in zip(pids, before)]
    case.true(f"both ran: {ran}", max(ran) < 1.6 * min(ran))


@test("sched", users=("root", "user", "single"), programs=PROGRAM)
def more_cpus_than_the_host(case):
    many = cpus() * 2 + 1
    name = started(case, "affinity", str(many - 1), options=["--set", f"guest.vcpus={many}"])
    s = eventually(case, name, "children", lambda s: len(named(s, "t-child")) == 2)
    case.equal("CPUs", len(s["sched"]["vcpus"]), many)
    host = {c["id"]: c["host_cpu"] for c in s["sched"]["vcpus"]}
    case.equal("they share the host's", set(host.values()), os.sched_getaffinity(0))
    for t in named(s, "t-child"):
        case.equal("a child is on the CPU its parent chose", os.sched_getaffinity(t["host_pid"]), {host[many - 1]})


@test("sched", users=("root", "user", "single"), programs=PROGRAM)
def affinity_is_inherited_and_kept(case):
    if cpus() < 2:
        raise Skipped("this machine has one CPU")
    name = started(case, "affinity", "1")
    s = eventually(case, name, "children", lambda s: len(named(s, "t-child")) == 2)
    host = s["sched"]["vcpus"][1]["host_cpu"]
    for t in named(s, "t-child"):
        case.equal("host's affinity", os.sched_getaffinity(t["host_pid"]), {host})


# -- placement ---------------------------------------------------------------------


def pair_of(s):
    return named(s, "t-ping") + named(s, "t-pong")


@test("sched", users=("root", "user", "single"), serial=True, programs=PROGRAM)
def a_pair_is_put_together(case):
    perf_is_permitted(case)
    if cpus() < 2:
        raise Skipped("this machine has one CPU")
    name = started(case, "ping-pong")

    def together(s):
        d = s["sched"]["decisions"]
        # The host may have them on one CPU by chance: then there is nothing to do.
        return (d and s["sched"]["pairs"] == 1) or len({t["vcpu"] for t in pair_of(s)}) == 1

    s = eventually(case, name, "they are together", together)
    for d in s["sched"]["decisions"]:
        case.true(f"a decision says what and why: {d}", d["what"] and d["reason"] and d["ns"] > 0)
    if s["sched"]["pairs"] == 1:
        masks = {frozenset(os.sched_getaffinity(t["host_pid"])) for t in pair_of(s)}
        case.equal("both are held on one CPU", [len(m) for m in masks], [1])
        others = [t for t in s["tasks"] if t["comm"] == "tasks" or t["pid"] == 1]
        for t in others:
            case.true("nobody else is", len(os.sched_getaffinity(t["host_pid"])) == cpus())


@test("sched", users=("root",), programs=PROGRAM)
def placement_off_leaves_tasks_alone(case):
    name = started(case, "ping-pong", options=["--set", "sched.placement=off"])
    time.sleep(0.3)
    s = case.stats(name)
    case.equal("decisions", s["sched"]["decisions"], [])
    for t in s["tasks"]:
        case.equal(f"affinity of {t['comm']}", os.sched_getaffinity(t["host_pid"]), os.sched_getaffinity(0))


@test("sched", users=("root", "user"), programs=PROGRAM)
def placement_spread(case):
    perf_is_permitted(case)
    if cpus() < 2:
        raise Skipped("this machine has one CPU")
    name = started(case, "spinners", str(cpus()), options=["--set", "sched.placement=spread"])

    def one_each(s):
        masks = [os.sched_getaffinity(t["host_pid"]) for t in named(s, "t-spin")]
        return all(len(m) == 1 for m in masks) and len(set().union(*masks)) == cpus()

    eventually(case, name, "each has a CPU of its own", one_each)


@test("sched", users=("root", "user"), programs=PROGRAM)
def placement_pack(case):
    perf_is_permitted(case)
    if cpus() < 2:
        raise Skipped("this machine has one CPU")
    options = ["--set", "sched.placement=pack"]

    def on(s, comm):
        return set().union(*(os.sched_getaffinity(t["host_pid"]) for t in named(s, comm)), set())

    name = started(case, "sleepers", options=options)
    case.weir("exec", name, "--", "/bin/true")
    eventually(case, name, "sleepers share a CPU", lambda s: len(on(s, "t-pipe") | on(s, "t-futex")) == 1)
    name = started(case, "spinners", "3", options=options)
    eventually(case, name, "those that work have more", lambda s: len(on(s, "t-spin")) >= 2)


# -- ends ---------------------------------------------------------------------------


@test("sched", users=("root", "user"), programs=PROGRAM)
def a_killed_kernel_leaves_nothing(case):
    perf_is_permitted(case)
    name = started(case, "many", "50", options=["--set", "guest.vcpus=1"])
    s = case.stats(name)
    pids = [t["host_pid"] for t in s["tasks"]]
    os.kill(s["guest"]["kernel_pid"], 9)
    deadline = time.monotonic() + PATIENCE
    while any(os.path.exists(f"/proc/{pid}") for pid in pids):
        case.true("its tasks end", time.monotonic() < deadline)
        time.sleep(0.02)
    while os.path.exists(os.path.join(case.user.state_dir(), name)):
        case.true("its directory goes", time.monotonic() < deadline)
        time.sleep(0.02)


@test("sched", users=("root", "user"))
def a_short_guest_is_short(case):
    """The observer is not waited for."""
    name = None
    for _ in range(20):
        case.status(case.run("/bin/true", name=name), 0)


@test("sched", users=("root",), programs=PROGRAM)
def stats_in_words(case):
    name = started(case, "sleepers")
    eventually(case, name, "t-stopped is stopped", lambda s: states(s, "t-stopped") == ["stopped"])
    out = case.weir("stats", name).out
    case.matches("the scheduler", out, r"(?m)^sched   \w+, \d+ tasks, \d+ runnable, load \d")
    case.matches("CPUs", out, r"(?m)^vcpu 0 +on host CPU \d+ +busy")
    case.matches("tasks", out, r"(?m)^ +PID +PPID .*STATE")
    case.matches("one of them", out, r"t-stopped")

# SPDX-License-Identifier: Apache-2.0
"""Suite "commands": the command line as design.md and weir(1) promise it

Exit statuses, one-line errors, pipes, the terminal, and the shapes of --json.
"""

import json
import os
import re
import select
import shutil
import signal
import struct
import subprocess
import time

import harness
import terminal
from harness import Failed, Skipped, need, test

# -- exit statuses ---------------------------------------------------------


@test("commands", policies=("hosting", "jail", "all-trap"))
def status_of_the_command(case):
    for n in (0, 1, 7, 100, 255):
        case.status(case.shell(f"exit {n}"), n)


@test("commands", policies=("hosting", "all-trap"))
def status_of_a_signal(case):
    for name, number in (("TERM", 15), ("KILL", 9), ("SEGV", 11), ("USR1", 10)):
        case.status(case.shell(f"kill -{name} $$"), 128 + number)


@test("commands")
def status_126_and_127(case):
    d = case.directory()
    plain = case.write(os.path.join(d, "plain"), "#!/bin/sh\nexit 0\n", 0o644)
    case.one_line_error(case.run(plain), 126)
    case.one_line_error(case.run(d), 126)
    case.one_line_error(case.run("/no/such/program"), 127)
    case.one_line_error(case.run("no-such-program-anywhere"), 127)


@test("commands", policies=(None,))
def usage_errors(case):
    for args in (["run", "--no-such-option", "true"], ["run", "-n", "a/b", "true"], ["run", "-n", "", "true"],
                 ["run", "-n", "x" * 100, "true"], ["run", "--set", "nonsense", "true"],
                 ["run", "--set", "guest.nosuchkey=1", "true"], ["run", "-p", "no-such-policy", "true"],
                 ["no-such-command"], ["log"], ["stats"], ["stop"], ["exec"], ["list", "extra"],
                 ["policy", "nonsense"]):
        r = case.weir(*args)
        case.equal(f"status of weir {' '.join(args)}", r.status, 2)
        case.true(f"weir {' '.join(args)} says something", r.err.strip())
        case.equal(f"standard output of weir {' '.join(args)}", r.out, "")


@test("commands", policies=(None,))
def unknown_guest(case):
    for args in (["log", "nobody"], ["stats", "nobody"], ["stop", "nobody"], ["kill", "nobody"],
                 ["reboot", "nobody"], ["exec", "nobody", "--", "true"]):
        r = case.weir(*args)
        case.true(f"weir {args[0]} of nobody fails", r.status != 0)
        case.true("with one line", len(r.err.splitlines()) == 1 and r.err.startswith("weir: "))
        case.true("that names it", "nobody" in r.err)


@test("commands", policies=(None,))
def version_and_help(case):
    r = case.status(case.weir("version"), 0)
    case.matches("weir version", r.out, r"\d+\.\d+")
    case.status(case.weir("--help"), 0)
    case.equal("status of weir alone", case.weir().status, 2)


# -- what passes through ---------------------------------------------------


@test("commands", policies=("hosting", "all-trap"))
def pipes_pass_straight(case):
    data = "line\n" * 50000
    r = case.status(case.run("/bin/cat", stdin=data), 0)
    case.equal("bytes through cat", len(r.out), len(data))
    case.equal("standard error", r.err, "")
    r = case.status(case.shell("echo out; echo err >&2"), 0)
    case.equal("out", r.out, "out\n")
    case.equal("err", r.err, "err\n")
    case.equal("an empty input", case.status(case.run("/bin/cat", stdin=""), 0).out, "")


@test("commands")
def bytes_of_any_value(case):
    r = case.command(["/bin/sh", "-c", 'head -c 3000000 /dev/urandom >"$0"; cat "$0" | "$@" | cmp - "$0"',
                      os.path.join(case.directory(), "data"), *case.run_argv(["/bin/cat"])])
    case.status(r, 0)


@test("commands")
def broken_pipe(case):
    r = case.command(["/bin/sh", "-c", '"$@" | head -c 10', "sh", *case.run_argv(["/usr/bin/yes"])], timeout=20)
    case.equal("the first bytes", r.out, "y\n" * 5)


@test("commands")
def a_descriptor_is_a_file(case):
    d = case.directory()
    out = os.path.join(d, "out")
    case.command(["/bin/sh", "-c", '"$@" >>"$0"', out, *case.run_argv(["/bin/echo", "first"])])
    case.command(["/bin/sh", "-c", '"$@" >>"$0"', out, *case.run_argv(["/bin/echo", "second"])])
    with open(out) as f:
        case.equal("the file", f.read(), "first\nsecond\n")


@test("commands")
def the_current_directory_is_kept(case):
    d = case.directory()
    case.write(os.path.join(d, "prog"), "#!/bin/sh\npwd\n", 0o755)
    r = case.status(case.run("./prog", cwd=d), 0)
    case.equal("pwd", r.out, d + "\n")


@test("commands")
def the_hosts_root_is_not_written(case):
    d = "/etc"
    new = [f"weir-{case.ctx.unique()}-{n}" for n in ("inside", "kept")]
    r = case.status(case.shell(f"cd {d}; echo x >{new[0]} && cat {new[0]}; rm -f {new[0]}; echo y >{new[1]}"), 0)
    case.equal("inside it is there", r.out, "x\n")
    case.equal("outside there is nothing", [n for n in new if os.path.lexists(os.path.join(d, n))], [])
    r = case.status(case.shell(f"ls {d}"), 0)
    case.equal("the next guest has nothing of it", [n for n in new if n in r.out], [])


@test("commands")
def environment(case):
    policy = case.policy_file("[policy]\nname = t\ninherit = hosting\n[guest]\nenv.SET_BY_POLICY = seven\n")
    r = case.status(case.command([case.ctx.weir, "run", "-p", policy, "--", "/usr/bin/env"]), 0)
    case.matches("the policy's variable", r.out, r"(?m)^SET_BY_POLICY=seven$")
    case.matches("PATH", r.out, r"(?m)^PATH=")
    case.true("weir's runtime directory is not the guest's", case.user.runtime not in r.out)


@test("commands", policies=("hosting", "jail"))
def identity(case):
    r = case.status(case.shell("id -u; hostname; echo $$; cat /proc/1/comm", name=f"my-{case.policy}-{case.user.kind}"), 0)
    lines = r.out.splitlines()
    case.equal("uid", lines[0], "0")
    case.equal("the hostname is the guest's name", lines[1], f"my-{case.policy}-{case.user.kind}")
    case.true("a small pid", int(lines[2]) < 100)


# -- list, log, stats, stop, kill, exec --------------------------------------


def load_json(text):
    try:
        return json.loads(text)
    except ValueError as e:
        raise Failed(f"no JSON: {e}\n{text[:500]}")


def has_fields(what, value, fields):
    missing = [f for f in fields if f not in value]
    if missing:
        raise Failed(f"{what} lacks {', '.join(missing)}: {sorted(value)}")


@test("commands", policies=("hosting", "jail", "all-trap"))
def list_shows_the_guest(case):
    name = case.detached("/bin/sleep", "60")
    r = case.status(case.weir("list"), 0)
    case.matches("weir list", r.out, rf"(?m)^{name}\s")
    got = [g for g in load_json(case.status(case.weir("list", "--json"), 0).out) if g["name"] == name]
    case.equal("entries in weir list --json", len(got), 1)
    has_fields("an entry", got[0], ["name", "state", "uptime_ns", "policy", "vcpus"])
    case.equal("policy", got[0]["policy"], case.policy)
    case.status(case.weir("kill", name), 0)
    case.true("it is gone from the list", name not in case.weir("list").out)


@test("commands", policies=(None,))
def list_of_none(case):
    r = case.status(case.weir("list", "--json"), 0)
    case.true("a JSON array", isinstance(load_json(r.out), list))


@test("commands", policies=("hosting", "all-trap"))
def stats_fields(case):
    name = case.detached("/bin/sh", "-c", "hostname one; hostname two; mount -t tmpfs none /none 2>/dev/null; sleep 60")
    harness.wait_until(lambda: any(t["syscall"] == "mount" and t["errors"]
                                   for t in case.stats(name)["traps"]))
    s = case.stats(name)
    has_fields("stats", s, ["guest", "boot", "traps", "time", "memory", "disks", "nets"])
    has_fields("guest", s["guest"], ["name", "state", "uptime_ns", "policy", "vcpus"])
    has_fields("boot", s["boot"], ["total_ns", "steps"])
    has_fields("time", s["time"], ["realtime_offset_ns", "monotonic_offset_ns", "rate", "vdso"])
    has_fields("memory", s["memory"], ["limit_bytes", "used_bytes"])
    for step in s["boot"]["steps"]:
        has_fields("a boot step", step, ["name", "ns"])
    case.true("steps are no longer than the boot", sum(x["ns"] for x in s["boot"]["steps"]) <= s["boot"]["total_ns"] * 1.05)
    traps = {}
    for t in s["traps"]:
        has_fields("a trap", t, ["syscall", "rule", "count", "errors", "p50_ns", "p99_ns", "max_ns"])
        case.matches("its rule", t["rule"], r".+:\d+$")
        case.true("quantiles in order", t["p50_ns"] <= t["p99_ns"] and (t["count"] == 0 or t["max_ns"] > 0))
        case.true("no more errors than calls", t["errors"] <= t["count"])
        traps.setdefault(t["syscall"], []).append(t)
    case.true("sethostname was counted twice", sum(t["count"] for t in traps.get("sethostname", [])) == 2)
    case.true("a failed mount is counted as an error", sum(t["errors"] for t in traps.get("mount", [])) >= 1)
    case.status(case.weir("stats", name), 0)


@test("commands", policies=(None,))
def stats_design_fields(case):
    """What the design names of sched and tasks, with values that can be."""
    name = case.detached("/bin/sleep", "60")
    s = case.stats(name)
    counters = ("tasks", "sleeps", "wakes", "preempts", "forks", "execs", "exits", "lost", "migrations", "pairs")
    for field in counters:
        case.true(f"sched.{field}: {s['sched'].get(field)}", s["sched"].get(field, -1) >= 0)
    case.true(f"sched.source: {s['sched']['source']}", s["sched"]["source"] in ("perf", "traps"))
    case.equal("vcpus", len(s["sched"]["vcpus"]), s["guest"]["vcpus"])
    for i, cpu in enumerate(s["sched"]["vcpus"]):
        case.equal("id", cpu["id"], i)
        case.true(f"{cpu}", cpu["host_cpu"] >= 0 and cpu["busy_ns"] >= 0 and cpu["idle_ns"] >= 0)
    case.equal("tasks", sorted(t["pid"] for t in s["tasks"]), [1, 2])
    for t in s["tasks"]:
        case.true(f"{t}", t["host_pid"] > 1 and t["comm"] and t["state"] and t["ppid"] == t["pid"] - 1)
        case.true(f"{t}", min(t["vcpu"], t["run_ns"], t["sleeps"], t["preempts"]) >= 0)


@test("commands", policies=("hosting", "all-trap"))
def log_has_the_boot(case):
    name = case.detached("/bin/sh", "-c", "sleep 60")
    r = case.status(case.weir("log", name), 0)
    case.matches("times to the microsecond", r.out, r"(?m)^\[\s*\d+\.\d{6}\] ")
    case.true("more than a few lines", len(r.out.splitlines()) > 3)
    inside = case.status(case.weir("exec", name, "--", "/bin/dmesg"), 0).out
    case.true("dmesg inside shows the same log", any(line.split("] ", 1)[-1] in inside for line in r.out.splitlines()[:5]))


@test("commands")
def verbose_prints_the_boot(case):
    r = case.status(case.run("/bin/true", options=["-v"]), 0)
    case.matches("the boot log on standard error", r.err, r"\[\s*\d+\.\d{6}\] ")
    case.equal("nothing on standard output", r.out, "")


@test("commands")
def detach_prints_the_name(case):
    """And lets go of the pipes: NAME=$(weir run -d ...) must not wait for the guest's end."""
    name = case.ctx.unique()
    case.cleanups.append(lambda: case.weir("kill", name))
    r = case.status(case.run("/bin/sleep", "60", options=["-d"], name=name, timeout=15), 0)
    case.equal("printed", r.out, name + "\n")
    case.matches("it runs", case.weir("list").out, rf"(?m)^{name}\s")


@test("commands")
def a_name_is_taken_once(case):
    name = case.detached("/bin/sleep", "60")
    case.one_line_error(case.run("/bin/true", name=name), (2, 125), re.escape(name))
    case.matches("the first one is unharmed", case.weir("list").out, rf"(?m)^{name}\s")


@test("commands")
def a_name_is_free_again(case):
    name = case.ctx.unique()
    for _ in range(5):
        case.status(case.run("/bin/true", name=name), 0)


@test("commands", policies=("hosting", "jail", "all-trap"))
def exec_in_a_guest(case):
    name = case.detached("/bin/sleep", "60")
    r = case.status(case.weir("exec", name, "--", "/bin/sh", "-c", "hostname; id -u; exit 9"), 9)
    case.equal("where it ran", r.out, f"{name}\n0\n")
    case.status(case.weir("exec", name, "--", "/bin/sh", "-c", "kill -TERM $$"), 143)
    case.status(case.weir("exec", name, "--", "/no/such"), 127)
    r = case.status(case.weir("exec", name, "--", "/bin/cat", stdin="through\n"), 0)
    case.equal("its pipes", r.out, "through\n")


@test("commands")
def exec_is_under_the_mask(case):
    name = case.detached("/bin/sleep", "60", options=[])
    r = case.weir("exec", name, "--", "/bin/sh", "-c", "grep Seccomp: /proc/self/status; grep CapBnd /proc/self/status")
    case.matches("a filter is there", r.out, r"Seccomp:\s*2")
    inside = case.shell("grep CapBnd /proc/self/status")
    case.true("the same capabilities as the guest's own", inside.out.strip() in r.out)


@test("commands")
def many_execs_at_once(case):
    name = case.detached("/bin/sleep", "60")
    jobs = [subprocess.Popen([case.ctx.weir, "exec", name, "--", "/bin/sh", "-c", f"exit {i}"], env=case.user.env(),
                             stdin=subprocess.DEVNULL, cwd="/", **case.user.popen_ids()) for i in range(20)]
    case.equal("statuses", [p.wait(30) for p in jobs], list(range(20)))


def child_of(pid):
    """The only child of a process, once it has one."""
    found = []
    harness.wait_until(lambda: found.extend(harness.descendants(pid)) or found)
    return found[0]


@test("commands", users=("root",))
def joined_namespaces(case):
    """Those of another process, each by its path."""
    other = subprocess.Popen(["unshare", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child", "sleep", "60"],
                             stdin=subprocess.DEVNULL)
    case.cleanups.append(lambda: (other.kill(), other.wait()))
    inside = child_of(other.pid)
    for kind in ("uts", "ipc", "net", "cgroup"):
        path = f"/proc/{inside}/ns/{kind}"
        r = case.shell(f"readlink /proc/self/ns/{kind}", options=["--set", f"namespaces.{kind}={path}"])
        case.equal(kind, r.out.strip(), os.readlink(path))
        case.true(f"{kind} is not the host's", os.readlink(path) != os.readlink(f"/proc/self/ns/{kind}"))


@test("commands", users=("root",))
def a_joined_user_namespace(case):
    """Its maps are the guest's."""
    other = subprocess.Popen(["unshare", "--user", "sleep", "60"], stdin=subprocess.DEVNULL)
    case.cleanups.append(lambda: (other.kill(), other.wait()))
    harness.wait_until(lambda: os.readlink(f"/proc/{other.pid}/ns/user") != os.readlink("/proc/self/ns/user"))
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{other.pid}/{name}", "w") as f:
            f.write("0 300000 65536")
    r = case.shell("readlink /proc/self/ns/user; cat /proc/self/uid_map; id -u",
                   options=["--set", f"namespaces.user=/proc/{other.pid}/ns/user"])
    case.equal("what is inside", r.out.split(),
               [os.readlink(f"/proc/{other.pid}/ns/user"), "0", "300000", "65536", "0"])


@test("commands", users=("root",))
def namespaces_that_cannot_be_joined(case):
    for key, path, said in (("net", "/etc/passwd", "not a namespace"), ("net", "/proc/self/ns/uts", "a uts namespace"),
                            ("net", "/no/such", "No such file"), ("pid", "/proc/1/ns/pid", "write new"),
                            ("mnt", "host", "write new"), ("user", "/proc/self/ns/user", "write host")):
        r = case.run("/bin/true", options=["--set", f"namespaces.{key}={path}"])
        case.one_line_error(r, (2, 125), said)


@test("commands", policies=("hosting", "jail"))
def stop_a_guest(case):
    name = case.detached("/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    case.status(case.weir("stop", name, timeout=30), 0)
    case.true("gone", name not in case.weir("list").out)


@test("commands")
def stop_a_deaf_guest(case):
    name = case.detached("/bin/sh", "-c", "trap '' TERM INT HUP PWR; while :; do sleep 0.1; done")
    begin = time.monotonic()
    case.status(case.weir("stop", "-t", "1", name, timeout=30), 0)
    case.true("by force, in time", time.monotonic() - begin < 10)
    case.true("gone", name not in case.weir("list").out)


@test("commands")
def kill_a_guest(case):
    mark = "mark-" + case.ctx.unique()
    name = case.detached("/bin/sh", "-c", f": {mark}; sleep 60; sleep 60 & wait")
    case.true("it runs", harness.with_argument(mark))
    case.status(case.weir("kill", name), 0)
    case.true("nothing is left", harness.wait_until(lambda: not harness.with_argument(mark)))


@test("commands", programs=["guest/load"])
def signals_to_weir_run(case):
    """SIGTERM, SIGINT and SIGHUP to a foreground weir run reach its command."""
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        mark = "mark-" + case.ctx.unique()
        p = case.start(case.ctx.program("guest/load"), mark)
        case.equal("it starts", p.stdout.readline(), b"loaded\n")
        p.send_signal(sig)
        case.equal(f"status after {sig.name}", p.wait(20), 128 + sig)
        case.true("nothing is left", harness.wait_until(lambda: not harness.with_argument(mark)))


@test("commands")
def orphans_end_with_the_command(case):
    mark = "mark-" + case.ctx.unique()
    case.status(case.shell(f"setsid sh -c ': {mark}; sleep 60' >/dev/null 2>&1 & sleep 0.2; exit 4"), 4)
    case.true("nothing is left", harness.wait_until(lambda: not harness.with_argument(mark)))


# -- reboot ------------------------------------------------------------------

REBOOT = ("import ctypes,sys\n"
          "ctypes.CDLL(None).syscall(169,0xfee1dead,672274793,{0:d},0)\n"
          "import time; time.sleep(20)")


def reboot_script(case, command):
    need("python3")
    return ["/usr/bin/python3", "-c", REBOOT.format(command)]


@test("commands")
def power_off_from_inside(case):
    for command in (0x4321fedc, 0xcdef0123):
        begin = time.monotonic()
        r = case.run(*reboot_script(case, command), timeout=30)
        case.true(f"it ends at once: {time.monotonic() - begin:.1f} s", time.monotonic() - begin < 10)
        case.equal("the status of a power-off", r.status, 0)


@test("commands")
def restart_from_inside(case):
    """The command of a guest is started again, with a pid, a time and a root of its own."""
    # Each boot writes a line to standard output, which lasts over the restart.
    script = ("import ctypes,os,sys,time\n"
              "print('boot', os.getpid(), flush=True)\n"
              "n=int(open('/proc/uptime').read().split('.')[0])\n"
              "if not os.path.exists('/tmp/was-here'):\n"
              "  open('/tmp/was-here','w').write('x')\n"
              "ctypes.CDLL(None).syscall(169,0xfee1dead,672274793,0x1234567,0)\n"
              "time.sleep(20)\n")
    need("python3")
    p = case.start("/usr/bin/python3", "-c", script)
    lines = [p.stdout.readline() for _ in range(4)]
    case.true(f"it boots again and again: {lines}", all(line.startswith(b"boot") for line in lines))
    case.status(case.weir("kill", p.guest), 0)
    p.wait(20)


@test("commands")
def reboot_by_command(case):
    p = case.start("/bin/sh", "-c", "echo boot; exec sleep 60")
    case.equal("first", p.stdout.readline(), b"boot\n")
    for _ in range(3):
        case.status(case.weir("reboot", p.guest), 0)
        case.equal("again", p.stdout.readline(), b"boot\n")
    case.matches("one guest in the list", case.weir("list").out, rf"(?m)^{p.guest}\s")
    case.status(case.weir("stop", "-t", "2", p.guest), 0)
    p.wait(20)


# -- the terminal ------------------------------------------------------------


class Terminal(terminal.Terminal):
    """Type and expect."""

    def __init__(self, case, argv, rows=30, cols=100):
        self.text = ""
        super().__init__(case, argv, rows, cols, TERM="dumb", PS1="$ ")

    def expect(self, pattern, seconds=15):
        """Read until the pattern is seen; what was read up to and with it."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text)):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise Failed(f"nothing like {pattern!r} on the terminal, but\n{harness.tail(self.text)}")
            try:
                self.text += os.read(self.master, 4096).decode(errors="replace")
            except OSError:
                raise Failed(f"the terminal closed before {pattern!r}\n{harness.tail(self.text)}")
        seen, self.text = self.text[:found.end()], self.text[found.end():]
        return seen

    def until_runs(self, comm):
        """Until a program of that name waits in the foreground: what is typed is for it."""
        if not harness.wait_until(lambda: any(
                (f := harness.stat_fields(pid)) and f[2] == comm and harness.has_the_terminal(pid)
                for pid in harness.descendants(self.p.pid)), 60):
            raise Failed(f"no {comm} in the foreground")

    def drain(self):
        while select.select([self.master], [], [], 0.1)[0]:
            try:
                if not os.read(self.master, 4096):
                    return
            except OSError:
                return


@test("commands", policies=("hosting", "jail", "all-trap"))
def terminal_is_a_terminal(case):
    t = Terminal(case, case.run_argv(["/bin/sh", "-c", "test -t 0 && test -t 1 && tty && stty size; exit 6"]))
    t.expect(r"/dev/(pts/\d+|console)")
    t.expect(r"30 100")
    case.equal("status", t.p.wait(15), 6)
    case.true("the terminal is as before", t.settings_restored())


@test("commands")
def terminal_job_control(case):
    t = Terminal(case, case.run_argv(["/bin/bash", "--norc", "--noprofile", "-i"]))
    t.expect(r"[$#] ")
    t.type("echo one$((1+1))three\n")
    t.expect(r"one2three")
    t.type("sleep 100\n")
    t.until_runs("sleep")
    t.type("\x1a")
    t.expect(r"Stopped")
    t.type("jobs\n")
    t.expect(r"Stopped\s+sleep 100")
    t.type("bg\n")
    t.expect(r"sleep 100 &")
    t.type("fg\n")
    t.expect(r"sleep 100")
    t.until_runs("sleep")
    t.type("\x03")
    t.expect(r"[$#] ")
    t.type("echo status $?\n")
    t.expect(r"status 130")
    t.type("cat\n")
    t.until_runs("cat")
    t.type("typed\n")
    t.expect(r"typed\r\ntyped")
    t.type("\x04")
    t.type("exit 5\n")
    case.equal("status", t.p.wait(15), 5)
    case.true("the terminal is as before", t.settings_restored())
    case.true("no complaint about job control", "no job control" not in t.text)


@test("commands")
def terminal_window_size(case):
    t = Terminal(case, case.run_argv(["/bin/bash", "--norc", "--noprofile", "-c",
                                      "trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done"]))
    t.expect("ready")
    t.resize(44, 132)
    t.expect("44 132")
    # bash survives a Ctrl-C that comes between two of its sleeps.
    for _ in range(30):
        t.type("\x03")
        try:
            t.p.wait(0.5)
            break
        except subprocess.TimeoutExpired:
            pass
    case.true("the terminal is as before", t.settings_restored())


@test("commands")
def terminal_after_sigterm(case):
    for sig in (signal.SIGTERM, signal.SIGHUP):
        t = Terminal(case, case.run_argv(["/bin/sh", "-c", "stty raw -echo; echo ready; sleep 100"]))
        t.expect("ready")
        case.true("weir put the terminal in raw mode", not t.settings_restored())
        t.p.send_signal(sig)
        t.p.wait(20)
        case.true(f"the terminal is as before, after {sig.name}", t.settings_restored())


@test("commands")
def terminal_after_kill(case):
    name = case.ctx.unique()
    t = Terminal(case, case.run_argv(["/bin/sh", "-c", "echo ready; sleep 100"], name=name))
    t.expect("ready")
    case.status(case.weir("kill", name), 0)
    t.p.wait(20)
    case.true("the terminal is as before", t.settings_restored())


@test("commands")
def terminal_by_exec(case):
    name = case.detached("/bin/sleep", "60")
    t = Terminal(case, [case.ctx.weir, "exec", name, "--", "/bin/sh", "-c", "test -t 0 && stty size && tty; exit 3"])
    t.expect("30 100")
    case.equal("status", t.p.wait(15), 3)
    case.true("the terminal is as before", t.settings_restored())


@test("commands")
def terminal_big_output(case):
    t = Terminal(case, case.run_argv(["/bin/sh", "-c", "seq 1 20000; echo the-end"]))
    seen = t.expect("the-end", 30)
    case.true("nothing is lost", all(f"\r\n{n}\r\n" in seen for n in (2, 999, 10000, 19999, 20000)))
    case.equal("status", t.p.wait(15), 0)


@test("commands", policies=("hosting", "jail", "all-trap"))
def no_terminal_without_one(case):
    """The guest kernel's session may be the guest's: the user's terminal must not be in it."""
    inside = "(: </dev/tty) 2>/dev/null && echo open >&2; exit 8"
    argv = case.run_argv(["/bin/sh", "-c", inside])
    t = Terminal(case, ["/bin/sh", "-c", '"$@" </dev/null 2>&1 | cat; echo status "$?"', "sh", *argv])
    seen = t.expect(r"status \d")
    case.true("no terminal to open", "open" not in seen)
    case.status(case.shell(inside), 8)


@test("commands", policies=("hosting", "jail", "all-trap"))
def signals_to_ones_group(case):
    """The guest kernel is in no group of the guest."""
    case.status(case.shell("kill -KILL 0"), 137)
    case.status(case.shell("trap '' TERM HUP; kill -TERM 0; kill -HUP 0; exit 9"), 9)
    name = case.detached("/bin/sleep", "60")
    case.status(case.weir("exec", name, "--", "/bin/sh", "-c", "kill -KILL 0"), 137)
    case.status(case.weir("exec", name, "--", "/bin/true"), 0)


@test("commands")
def half_a_terminal(case):
    """Input from a pipe, output to a terminal: each passes as what it is."""
    t = Terminal(case, ["/bin/sh", "-c", 'echo piped | "$@"', "sh",
                        *case.run_argv(["/bin/sh", "-c", "cat; test -t 0 || echo no-tty-in"])])
    t.expect("piped")
    t.expect("no-tty-in")
    t.p.wait(15)
    case.true("the terminal is as before", t.settings_restored())


# -- what the guest's root has not ----------------------------------------

CAP_NET_RAW = 13	# linux/capability.h


@test("commands", users=("root", "user", "single"))
def ping_runs_though_its_file_has_a_capability(case):
    """Debian's ping carries cap_net_raw, with which the host would not run it here."""
    need("ping")
    ping = shutil.which("ping", path=harness.PATH)
    if "security.capability" not in os.listxattr(ping):
        raise Skipped(f"{ping} has no capability")
    case.matches("as root", case.shell("ping -c 1 -W 10 127.0.0.1").text(), "1 received")
    if case.user.kind != "single":
        r = case.run("/usr/sbin/runuser", "-u", "nobody", "--", ping, "-c", "1", "-W", "10", "127.0.0.1")
        case.matches("as a user of the guest", r.text(), "1 received")
    case.true("the host's file is as it was", "security.capability" in os.listxattr(ping))


@test("commands", users=("root",))
def capabilities_that_the_guest_has_stay_with_files(case):
    """And are had by who runs them; without caps.keep the host runs such a file for nobody here."""
    program = shutil.copy("/bin/cat", case.directory())
    # struct vfs_cap_data: revision 2, effective; permitted and inheritable, low and high halves
    os.setxattr(program, "security.capability", struct.pack("<5I", 0x02000001, 1 << CAP_NET_RAW, 0, 0, 0))
    case.status(case.run(program, "/dev/null"), 126)
    r = case.run("setpriv", "--reuid", "nobody", "--clear-groups", program, "/proc/self/status",
                 options=["--set", "caps.keep=+net_raw"])
    case.matches("what it has", r.text(), rf"(?m)^CapEff:\s+{1 << CAP_NET_RAW:016x}$")


@test("commands", users=("root",))
def the_priority_that_weir_was_started_with(case):
    argv = case.run_argv(["/usr/bin/nice"])
    case.equal("nice", case.status(case.command(["nice", "-n", "-3", *argv]), 0).out, "-3\n")
    case.equal("nice", case.status(case.command(["nice", "-n", "3", *argv]), 0).out, "3\n")


@test("commands", users=("root", "user"), programs=["guest/loopback"])
def low_ports_of_the_hosts_network_are_the_hosts(case):
    r = case.program("guest/loopback", options=["--set", "namespaces.net=host"])
    case.matches("the host's network", r.out, "bind to port 80: EACCES")


# -- policy ------------------------------------------------------------------


@test("commands", policies=(None,))
def policy_commands(case):
    for name in ("base", "hosting", "jail", "all-trap", "build", "time-lab", "id-lab"):
        case.status(case.weir("policy", "check", name), 0)
        shown = case.status(case.weir("policy", "show", name), 0).out
        case.matches("a resolved policy", shown, r"(?m)^\[syscalls\]")
        again = case.policy_file(shown)
        case.status(case.weir("policy", "check", again), 0)
    r = case.status(case.weir("policy", "explain", "-p", "hosting", "mount"), 0)
    case.matches("explain names the lane", r.out, r"\btrap\b")
    case.matches("explain names the line", r.out, r"base(\.policy)?:\d+")
    case.status(case.weir("policy", "diff", "hosting", "hosting"), 0)
    r = case.weir("policy", "diff", "hosting", "jail")
    case.matches("a difference", r.out, r"mount")


BROKEN = {
    "unknown-section": "[nosuch]\na = b\n",
    "unknown-key": "[guest]\nnosuch = 1\n",
    "unknown-lane": "[syscalls]\nmount = maybe\n",
    "unknown-call": "[syscalls]\nnosuchcall = pass\n",
    "unknown-group": "[syscalls]\n@nosuch = pass\n",
    "unknown-errno": "[syscalls]\nmount = deny ENOSUCH\n",
    "unknown-test": "[syscalls]\nmount = pass if arg0 ~~ 3\n",
    "unknown-argument": "[syscalls]\nmount = pass if arg9 == 3\n",
    "duplicate-key": "[guest]\nhostname = a\nhostname = b\n",
    "no-value": "[guest]\nhostname\n",
    "bad-number": "[guest]\nvcpus = many\n",
    "bad-size": "[guest]\nmemory = 12Q\n",
    "bad-capability": "[caps]\nkeep = cap_nosuch\n",
    "bad-namespace": "[namespaces]\nuser = maybe\n",
    "passing-twin": "[syscalls]\nmount = trap\nfsopen = pass\nfsconfig = pass\nfsmount = pass\nmove_mount = pass\n",
    "io-uring": "[syscalls]\nio_uring_setup = pass\nio_uring_enter = pass\n",
    "nul-byte": "[guest]\nhostname = a\0b\n",
    "inherits-itself": "[policy]\ninherit = ./test.policy\n",
}


@test("commands", policies=(None,))
def broken_policies(case):
    """Each is one clear line with file and line, exit 2, and nothing is started."""
    bad = []
    for name, text in BROKEN.items():
        head = "" if text.startswith("[policy]") else "[policy]\nname = t\ninherit = hosting\n"
        path = case.policy_file(head + text)
        for args in (["policy", "check", path], ["run", "-p", path, "--", "/bin/echo", "started"]):
            r = case.weir(*args)
            if r.status != 2 or r.out or len(r.err.splitlines()) != 1 or not re.search(r":\d+:", r.err):
                bad.append(f"{name}: {args[0]}: status {r.status}, out {r.out!r}, err {r.err!r}")
    if bad:
        raise Failed("\n".join(bad))


@test("commands", policies=(None,))
def strange_policy_files(case):
    d = case.directory()
    good = "[policy]\nname = t\ninherit = hosting\n"
    case.write(os.path.join(d, "big.policy"), good + "# " + "x" * 70 + "\n" + ("#" * 79 + "\n") * 131072)
    case.write(os.path.join(d, "long-line.policy"), good + "[guest]\nhostname = " + "a" * 500000 + "\n")
    case.write(os.path.join(d, "group-writable.policy"), good, 0o664)
    case.write(os.path.join(d, "world-writable.policy"), good, 0o646)
    os.symlink("big.policy", os.path.join(d, "link-to-big.policy"))
    os.mkfifo(os.path.join(d, "fifo.policy"))
    os.mkdir(os.path.join(d, "directory.policy"))
    for name in sorted(os.listdir(d)) + ["missing.policy"]:
        r = case.weir("run", "-p", os.path.join(d, name), "--", "/bin/echo", "started", timeout=20)
        case.equal(f"{name}: status", r.status, 2)
        case.equal(f"{name}: lines", len(r.err.splitlines()), 1)
        case.equal(f"{name}: started", r.out, "")
    case.status(case.weir("policy", "check", case.policy_file(good.rstrip("\n"))), 0)
    if case.user.uid and os.getuid() == 0:
        path = case.policy_file(good)
        os.chown(path, 12345, 12345)
        case.equal("another user's policy", case.weir("run", "-p", path, "--", "/bin/true").status, 2)

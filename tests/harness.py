# SPDX-License-Identifier: Apache-2.0
"""harness.py - what the suites of tests/run share

A suite is a module that registers tests with @test. A test is a function of
one argument, a Case: it starts guests with case.run(), other commands with
case.weir(), and ends by returning, or by raising Failed or Skipped. Each test
is run once per user and per policy that it names.

Users: "root"; "user" has a range of subordinate ids; "single" has none.
"""

import concurrent.futures
import glob
import itertools
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

TESTS = os.path.dirname(os.path.abspath(__file__))
CFLAGS = ["-O2", "-static", "-pthread", "-D_GNU_SOURCE", "-Wall", "-Wextra",
          "-Wno-missing-field-initializers", "-Wno-unused-parameter"]


# Where programs are looked for, and what a test's PATH is: PostgreSQL's servers have no other place.
PATH = ":".join([os.environ.get("PATH", "/usr/bin:/bin"), "/usr/sbin", "/sbin",
                 *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)])


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def need(*programs):
    """Skip the test unless all of these are installed."""
    for name in programs:
        if shutil.which(name, path=PATH) is None:
            raise Skipped(f"{name} is not installed")


def need_java_compiler():
    """Skip the test unless java can run a source file: a runtime has no compiler."""
    need("java")
    r = subprocess.run(["java", "--list-modules"], env=dict(os.environ, PATH=PATH), capture_output=True, text=True)
    if "jdk.compiler@" not in r.stdout:
        raise Skipped("java has no compiler (module jdk.compiler)")


class Result:
    """How a command ended: status (128+N for signal N), out, err, seconds."""

    def __init__(self, argv, status, out, err, seconds):
        self.argv, self.status, self.seconds = argv, status, seconds
        self.out, self.err = out, err

    def text(self):
        return (f"$ {' '.join(map(str, self.argv))}\nstatus {self.status} after {self.seconds:.1f} s\n"
                f"{tail(self.out)}{tail(self.err)}")


def tail(text, lines=60):
    got = text.splitlines()
    if len(got) > lines:
        got = [f"({len(got) - lines} lines left out)"] + got[-lines:]
    return "".join(line + "\n" for line in got)


class User:
    """Someone who starts guests: a name, its ids and a runtime directory of its own."""

    def __init__(self, kind, name, base):
        entry = pwd.getpwnam(name)
        self.kind, self.name = kind, name
        self.uid, self.gid, self.home = entry.pw_uid, entry.pw_gid, entry.pw_dir
        self.runtime = os.path.join(base, "run-" + kind)
        os.makedirs(self.runtime, mode=0o700, exist_ok=True)
        if os.getuid() == 0:
            os.chown(self.runtime, self.uid, self.gid)

    def env(self):
        env = {k: v for k, v in os.environ.items() if k in ("TERM", "LANG") or k.startswith("WEIR_")}
        env.update(PATH=PATH, HOME=self.home, USER=self.name, LOGNAME=self.name, SHELL="/bin/sh",
                   XDG_RUNTIME_DIR=self.runtime)
        return env

    def popen_ids(self):
        if self.uid == os.getuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def state_dir(self):
        return "/run/weir" if self.uid == 0 else os.path.join(self.runtime, "weir")


def add_user(name, subids):
    """Make a test user if there is none; only root can."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        if os.getuid() != 0:
            return False
        subprocess.run(["useradd", "-m", name], check=True, stdout=subprocess.DEVNULL)
        os.chmod(pwd.getpwnam(name).pw_dir, 0o755)
    for path in ("/etc/subuid", "/etc/subgid"):
        with open(path) as f:
            lines = f.readlines()
        mine = [line for line in lines if line.startswith(name + ":")]
        if mine and not subids:
            with open(path, "w") as f:
                f.writelines(line for line in lines if line not in mine)
        elif subids and not mine:
            raise Skipped(f"user {name} has no line in {path}")
    return True


class Context:
    """One run of the tests: where weir is, where programs are built, who runs them."""

    def __init__(self, options):
        self.options = options
        self.weir = os.path.abspath(options.weir)
        self.jobs = options.jobs
        self.build = tempfile.mkdtemp(prefix="weir-tests-", dir="/var/tmp")
        os.chmod(self.build, 0o755)
        self.users, self.missing_users = {}, {}
        self.counter = itertools.count()
        self.lock = threading.Lock()
        self.make_users()

    def make_users(self):
        me = pwd.getpwuid(os.getuid()).pw_name
        if os.getuid() != 0:
            self.users["user"] = User("user", me, self.build)
            self.missing_users["root"] = "the tests were not started by root"
            self.missing_users["single"] = "only root can change to another user"
            return
        self.users["root"] = User("root", "root", self.build)
        for kind, name, subids in (("user", "weirtest", True), ("single", "weirtest0", False)):
            try:
                if shutil.which("useradd") is None:
                    raise Skipped("no useradd")
                add_user(name, subids)
                self.users[kind] = User(kind, name, self.build)
            except (Skipped, subprocess.CalledProcessError, OSError) as e:
                self.missing_users[kind] = f"user {name} cannot be made: {e}"

    def compile(self, names):
        """Build NAME ("guest/uname") for each name; returns the failures by name."""

        def one(name):
            out = os.path.join(self.build, name)
            os.makedirs(os.path.dirname(out), exist_ok=True)
            cmd = ["cc", *CFLAGS, "-o", out, os.path.join(TESTS, name + ".c")]
            done = subprocess.run(cmd, capture_output=True, text=True)
            if done.returncode == 0:
                os.chmod(out, 0o755)
            return name, done

        bad = {}
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for name, done in pool.map(one, sorted(names)):
                if done.returncode:
                    bad[name] = done.stderr
                elif done.stderr:
                    print(f"# {name}: {done.stderr.strip()}", flush=True)
        return bad

    def program(self, name):
        return os.path.join(self.build, name)

    def unique(self):
        return f"t{os.getpid()}-{next(self.counter)}"

    def close(self):
        if not self.options.keep:
            shutil.rmtree(self.build, ignore_errors=True)


# How weir run is begun: what stands before it, and the ids for Popen that it begins with
# (None: the user's). fuse_dev.reach() is another way.
USUAL = ([], None)


class Case:
    """One test, for one user and one policy."""

    def __init__(self, ctx, test, user, policy):
        self.ctx, self.test, self.user, self.policy = ctx, test, ctx.users[user], policy
        self.notes, self.cleanups = [], []

    # -- starting things -------------------------------------------------

    def command(self, argv, stdin=subprocess.DEVNULL, timeout=60, env=None, cwd="/", ids=None):
        """Run to the end; a command that does not end in time is a failure."""
        begin = time.monotonic()
        full = dict(self.user.env(), **(env or {}))
        data = None
        if stdin is subprocess.DEVNULL:
            # A pipe that is at its end: what runs natively as root may change the file on its stdin,
            # and the machine's /dev/null is not to lose its mode.
            stdin = ""
        if isinstance(stdin, str):
            data, stdin = stdin.encode(), subprocess.PIPE
        p = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=full,
                             cwd=cwd, start_new_session=True, **(self.user.popen_ids() if ids is None else ids))
        try:
            out, err = p.communicate(data, timeout)
        except subprocess.TimeoutExpired:
            if "-n" in argv and argv[0] == self.ctx.weir:
                subprocess.run([self.ctx.weir, "kill", argv[argv.index("-n") + 1]], env=full, timeout=20,
                               capture_output=True, **self.user.popen_ids())
            kill_group(p.pid)
            try:
                out, err = p.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                out, err = b"", b"(the pipes are held open by something that is left)"
            raise Failed("did not end in time\n" + Result(
                argv, None, out.decode(errors="replace"), err.decode(errors="replace"), timeout).text())
        return Result(argv, p.returncode if p.returncode >= 0 else 128 - p.returncode,
                      out.decode(errors="replace"), err.decode(errors="replace"), time.monotonic() - begin)

    def weir(self, *args, **kw):
        return self.command([self.ctx.weir, *map(str, args)], **kw)

    def run_argv(self, command, options=(), name=None):
        policy = ["-p", self.policy] if self.policy else []
        return [self.ctx.weir, "run", *policy, "-n", name or self.ctx.unique(), *map(str, options), "--",
                *map(str, command)]

    def run(self, *command, options=(), name=None, **kw):
        """weir run COMMAND in a guest of the case's policy."""
        return self.command(self.run_argv(command, options, name), **kw)

    def shell(self, script, **kw):
        return self.run("/bin/sh", "-c", script, **kw)

    def program(self, name, *args, **kw):
        return self.run(self.ctx.program(name), *args, **kw)

    def start(self, *command, options=(), name=None, env=None, way=USUAL, **kw):
        """weir run in the background: the Popen, with its guest's name in .guest."""
        name, (wrap, ids) = name or self.ctx.unique(), way
        kw = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **kw}
        p = subprocess.Popen(wrap + self.run_argv(command, options, name), env=dict(self.user.env(), **(env or {})),
                             cwd="/", start_new_session=True, **kw, **(self.user.popen_ids() if ids is None else ids))
        p.guest = name
        self.cleanups.append(lambda: stop_popen(p))
        return p

    def detached(self, *command, options=(), name=None, way=USUAL):
        """weir run -d COMMAND: the name. Killed when the test ends."""
        name, (wrap, ids) = name or self.ctx.unique(), way
        argv = wrap + self.run_argv(command, ["-d", *options], name)
        self.cleanups.append(lambda: self.weir("kill", name))
        # Into a file: a guest that holds on to our pipes is the business of one test, not of all.
        with tempfile.TemporaryFile(mode="w+") as out:
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.user.env(),
                                 cwd="/", start_new_session=True, **(self.user.popen_ids() if ids is None else ids))
            try:
                status = p.wait(30)
            except subprocess.TimeoutExpired:
                kill_group(p.pid)
                raise Failed("weir run -d did not return")
            out.seek(0)
            self.status(Result(argv, status, out.read(), "", 0), 0)
        return name

    def stats(self, name):
        """What weir stats says of a guest."""
        return json.loads(self.status(self.weir("stats", "--json", name), 0).out)

    def kernel_pid(self, name):
        return self.stats(name)["guest"]["kernel_pid"]

    def reference(self, *command, **kw):
        """The same natively, in fresh namespaces (tests/guest/reference.c)."""
        single = ["-s"] if self.user.kind == "single" else []
        return self.command([self.ctx.program("guest/reference"), *single, *map(str, command)], **kw)

    # -- judging ---------------------------------------------------------

    def status(self, result, want):
        if result.status != want:
            raise Failed(f"status {result.status}, not {want}\n{result.text()}")
        return result

    def equal(self, what, got, want):
        if got != want:
            raise Failed(f"{what}: {got!r}, not {want!r}")

    def true(self, what, value):
        if not value:
            raise Failed(what)

    def matches(self, what, text, pattern):
        if not re.search(pattern, text):
            raise Failed(f"{what}: nothing like {pattern!r} in\n{tail(text)}")

    def one_line_error(self, result, status, pattern=None):
        """An error as design.md wants it: "weir: WHAT: WHY" in one line, and the status."""
        statuses = status if isinstance(status, tuple) else (status,)
        if result.status not in statuses:
            raise Failed(f"status {result.status}, not {' or '.join(map(str, statuses))}\n{result.text()}")
        lines = result.err.splitlines()
        if len(lines) != 1 or not lines[0].startswith("weir: "):
            raise Failed(f"not one line of \"weir: WHAT: WHY\"\n{result.text()}")
        if pattern and not re.search(pattern, lines[0]):
            raise Failed(f"the error says nothing of {pattern!r}: {lines[0]}")

    def note(self, text):
        self.notes.append(text)

    def directory(self, mode=0o755):
        """An empty directory of the user's, world-readable; gone with the run."""
        path = tempfile.mkdtemp(prefix="d-", dir=self.ctx.build)
        os.chmod(path, mode)
        return self.owned(path)

    def write(self, path, text, mode=0o644):
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return self.owned(path)

    def owned(self, path):
        """A file or directory that has just been made, given to the user."""
        if os.getuid() == 0:
            os.chown(path, self.user.uid, self.user.gid)
        return path

    def empty_root(self, *names):
        """A directory with empty ones in it."""
        root = self.directory()
        for name in names:
            os.mkdir(os.path.join(root, name))
            self.owned(os.path.join(root, name))
        return root

    def busybox_root(self, *names):
        """What a guest needs of a root, a static busybox, also as sh, and more empty directories."""
        need("busybox")
        root = self.empty_root("proc", "sys", "dev", "tmp", "run", *names)
        for name in ("busybox", "sh"):
            self.owned(shutil.copy("/bin/busybox", os.path.join(root, name)))
        return root

    def policy_file(self, text):
        return self.write(os.path.join(self.directory(), "test.policy"), text)


def kill_group(pid):
    for pid in [pid, *descendants(pid)]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def stop_popen(p):
    if p.poll() is None:
        p.terminate()
        try:
            p.wait(10)
        except subprocess.TimeoutExpired:
            kill_group(p.pid)
            p.wait(10)
    for f in (p.stdin, p.stdout, p.stderr):
        if f:
            f.close()


# -- looking at the host -------------------------------------------------


def stat_fields(pid):
    """(ppid, state, comm) of a process, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            text = f.read().decode(errors="replace")
    except OSError:
        return None
    comm = text[text.index("(") + 1:text.rindex(")")]
    rest = text[text.rindex(")") + 2:].split()
    return int(rest[1]), rest[0], comm


def has_the_terminal(pid):
    """Is a process of the group in the foreground of its terminal, and asleep?"""
    try:
        with open(f"/proc/{pid}/stat") as f:
            state, _, group, _, _, foreground = f.read().rsplit(")", 1)[1].split()[:6]
    except OSError:
        return False
    return state == "S" and group == foreground


def processes():
    """pid -> (ppid, state, comm), zombies left out."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_fields(int(entry))
            if fields and fields[1] not in "ZX":
                found[int(entry)] = fields
    return found


def descendants(pid):
    children = {}
    for child, (parent, _, _) in processes().items():
        children.setdefault(parent, []).append(child)
    found, queue = [], [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            found.append(child)
            queue.append(child)
    return found


def with_argument(mark):
    """Processes that have mark in one of their arguments."""
    found = []
    for pid in processes():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if mark.encode() in f.read() and pid != os.getpid():
                    found.append(pid)
        except OSError:
            pass
    return found


def exe(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def mount_lines():
    with open("/proc/self/mountinfo") as f:
        return sorted(f.readlines())


def cgroups():
    found = set()
    for top, dirs, _ in os.walk("/sys/fs/cgroup"):
        found.update(os.path.join(top, d) for d in dirs)
    return found


def wait_until(condition, seconds=5.0):
    """Poll until condition() is true; its last value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(0.02)


# -- registration and running --------------------------------------------


class Test:
    def __init__(self, suite, name, function, users, policies, serial, programs):
        self.suite, self.name, self.function = suite, name, function
        self.users, self.policies, self.serial, self.programs = users, policies, serial, programs


TESTS_BY_SUITE = {}


def add(suite, name, function, users=("root", "user"), policies=("hosting",), serial=False, programs=()):
    TESTS_BY_SUITE.setdefault(suite, []).append(
        Test(suite, name, function, users, policies, serial, programs))


def test(suite, **kw):
    """Decorator: the function's name is the test's, with dashes."""

    def register(function):
        add(suite, function.__name__.strip("_").replace("_", "-"), function, **kw)
        return function

    return register


class Report:
    """TAP lines as results come in; the count at the end."""

    def __init__(self, verbose):
        self.verbose, self.number = verbose, 0
        self.passed, self.failed, self.skipped, self.failures = 0, 0, 0, []
        self.times = []	# (seconds, label), of the first try

    @staticmethod
    def comment(line, detail):
        print(f"# {line}\n" + "".join(f"#   {line}\n" for line in detail.splitlines()), end="", flush=True)

    def add(self, label, outcome, seconds, detail="", notes=()):
        """One line; outcome is pass, fail, skip or unsteady (failed once, then passed: AGAIN)."""
        self.number += 1
        if outcome == "skip":
            self.skipped += 1
            print(f"ok {self.number} - {label} # SKIP {detail}", flush=True)
            return
        if outcome in ("pass", "unsteady"):
            self.passed += 1
            print(f"ok {self.number} - {label} ({seconds:.2f} s)", flush=True)
            if outcome == "unsteady":
                self.comment(f"unsteady: {label}", detail)
        else:
            self.failed += 1
            self.failures.append(label)
            print(f"not ok {self.number} - {label} ({seconds:.2f} s)", flush=True)
            print("".join(f"#   {line}\n" for line in detail.splitlines()), end="", flush=True)
        if self.verbose:
            print("".join(f"#   {note}\n" for note in notes), end="", flush=True)


def run_case(case):
    begin = time.monotonic()
    outcome, detail = "pass", ""
    try:
        case.test.function(case)
    except Skipped as e:
        outcome, detail = "skip", str(e)
    except Failed as e:
        outcome, detail = "fail", str(e)
    except Exception as e:	# a mistake of the test's own
        import traceback
        outcome, detail = "fail", traceback.format_exc()
    for cleanup in reversed(case.cleanups):
        try:
            cleanup()
        except Exception as e:
            if outcome == "pass":
                outcome, detail = "fail", f"while cleaning up: {e}"
    return outcome, time.monotonic() - begin, detail


def expand(ctx, options):
    """The (label, test, user, policy) that the options choose; policy may be None."""
    kinds = {"root": ("root",), "user": ("user", "single"), "both": ("root", "user", "single")}[options.who]
    for suite in options.suite:
        for t in TESTS_BY_SUITE.get(suite, []):
            for user, policy in itertools.product(t.users, t.policies):
                if user not in kinds or (options.policy and policy and policy not in options.policy):
                    continue
                label = "/".join(x for x in (suite, t.name, policy, user) if x)
                if not options.pattern or any(re.search(p, label) for p in options.pattern):
                    yield label, t, user, policy


# With --again, how often a test that failed has to pass, alone, to be called unsteady
# instead. Never in these suites, where one failure in many rounds is what is looked for.
AGAIN = 3
NEVER_AGAIN = ("escape", "faults")


def run_all(ctx, options):
    report = Report(options.verbose)
    chosen = list(expand(ctx, options))
    names = {p for _, t, _, _ in chosen for p in t.programs} | {"guest/reference"}
    bad = ctx.compile(names)
    print("TAP version 13", flush=True)
    print(f"1..{len(chosen)}", flush=True)

    def one(item):
        label, t, user, policy = item
        broken = [p for p in t.programs if p in bad]
        if user not in ctx.users:
            return label, ("skip", 0.0, ctx.missing_users.get(user, f"no user of kind {user}")), ()
        if broken:
            return label, ("fail", 0.0, "does not compile:\n" + bad[broken[0]]), ()
        case = Case(ctx, t, user, policy)
        return label, run_case(case), case.notes

    failed = []

    def told(item, result):
        label, (outcome, seconds, detail), notes = result
        report.times.append((seconds, label))
        if outcome == "fail" and options.again and item[1].suite not in NEVER_AGAIN:
            failed.append((item, result))
            report.comment(f"failed once: {label} ({seconds:.2f} s)", detail)
        else:
            report.add(label, outcome, seconds, detail, notes)

    parallel = [item for item in chosen if not item[1].serial]
    with concurrent.futures.ThreadPoolExecutor(ctx.jobs) as pool:
        for item, result in zip(parallel, pool.map(one, parallel)):
            told(item, result)
    for item in chosen:
        if item[1].serial:
            told(item, one(item))
    for item, (label, (outcome, seconds, detail), notes) in failed:
        if all(one(item)[1][0] == "pass" for _ in range(AGAIN)):
            outcome = "unsteady"
        report.add(label, outcome, seconds, detail, notes)
    for seconds, label in sorted(report.times, reverse=True)[:options.times]:
        print(f"# slow: {seconds:7.2f} s {label}")
    for label in report.failures:
        print(f"# failed: {label}")
    print(f"{report.passed} passed, {report.failed} failed, {report.skipped} skipped")
    return 1 if report.failed else 0

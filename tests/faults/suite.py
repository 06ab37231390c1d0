# SPDX-License-Identifier: Apache-2.0
"""Suite "faults": weir killed at any moment, and boots that cannot work

After a kill -9 of any of weir's processes nothing of the guest is left: no task, no
mount, no cgroup, no file. A boot that cannot work is refused by name, or the guest
does without and the boot log says so; nothing stays behind.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time

import harness
from harness import Failed, Skipped, test

KILLS = 200		# in all: split over users and policies


class Before:
    """What the host looks like, to be compared with what it looks like later."""

    def __init__(self, case):
        self.case = case
        self.mounts = harness.mount_lines()
        self.cgroups = harness.cgroups()
        self.files = self.state_files()

    def state_files(self):
        found = set()
        top = self.case.user.state_dir()
        if os.path.isdir(top):
            for where, dirs, files in os.walk(top):
                found.update(os.path.join(where, x) for x in dirs + files if x != ".lock")	# taken by weir list
        for top in ("/tmp", "/var/tmp", "/dev/shm", "/run"):
            found.update(os.path.join(top, x) for x in os.listdir(top)
                         if "weir" in x and x != "weir" and not x.startswith(("weir-test", "weir-check", "weir-bench")))
        return found

    def new_files(self, name):
        """Files that were not there before; in the state directory only this guest's,
        since other guests of the same user may come and go."""
        state = self.case.user.state_dir() + "/"
        return {f for f in self.state_files() - self.files if name in f or not f.startswith(state)}

    def new_cgroups(self, name):
        return {g for g in harness.cgroups() - self.cgroups if "weir" in g or name in g}

    def nothing_left(self, mark, name, seconds=5.0):
        """Poll until all is gone; Failed with what is not."""

        def left():
            found = []
            pids = harness.with_argument(mark)
            if pids:
                found.append(f"tasks {describe(pids)}")
            pids = [p for p in harness.with_argument(name) if harness.exe(p).split(" (")[0] == self.case.ctx.weir]
            if pids:
                found.append(f"weir's processes {describe(pids)}")
            return found

        harness.wait_until(lambda: not left(), seconds)
        found = left()
        # The next command of any kind clears up what a killed one could not, once the
        # host has let go of the last thread of it: that is a little after its name is gone.
        if not harness.wait_until(lambda: name not in self.case.weir("list").out, 1.0):
            found.append("the guest is in the list")
        harness.wait_until(lambda: not (self.new_files(name) or self.new_cgroups(name)), 2.0)
        if new := self.new_files(name):
            found.append(f"files {sorted(new)[:10]}")
        if new := self.new_cgroups(name):
            found.append(f"cgroups {sorted(new)[:10]}")
        if (now := harness.mount_lines()) != self.mounts:
            new = [m for m in now if m not in self.mounts]
            if any("weir" in m or name in m for m in new):
                found.append(f"mounts {new}")
        if found:
            raise Failed("left behind: " + "; ".join(found))


def describe(pids):
    out = []
    for p in pids[:8]:
        fields = harness.stat_fields(p)
        out.append(f"{p} ({fields[2]}, {fields[1]}, parent {fields[0]})" if fields else str(p))
    return ", ".join(out) + (f" and {len(pids) - 8} more" if len(pids) > 8 else "")


def is_part_of_weir(case, pid):
    """Runs weir's own program, and is none of the processes that do one thing and end, which a guest outlives: the
    agent's that do a call, the kernel's that holds a user namespace until it has a descriptor."""
    fields = harness.stat_fields(pid)
    parent = harness.stat_fields(int(fields[0])) if fields else None
    return (harness.exe(pid).split(" (")[0] == case.ctx.weir
            and not (parent and (parent[2] == "weir-agent" or parent[2] == fields[2] == "weir-kernel")))


def weir_processes(case, root):
    """weir run and those below it that run weir's own program."""
    return [root] + [pid for pid in harness.descendants(root) if is_part_of_weir(case, pid)]


def kill_one(case, rounds, options=(), detach=False):
    """rounds times: boot under load, kill one of weir's processes at a random moment."""
    random.seed(f"{case.user.kind} {case.policy} {detach}")
    victims = {}
    for i in range(rounds):
        mark, name = "mark-" + case.ctx.unique(), case.ctx.unique()
        before = Before(case)
        argv = case.run_argv([case.ctx.program("guest/load"), mark], options, name)
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             env=case.user.env(), cwd="/", start_new_session=True, **case.user.popen_ids())
        # From the middle of the boot (a few ms) to the load at full speed.
        time.sleep(random.choice((0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3)) * random.random() * 2)
        victim = random.choice(weir_processes(case, p.pid))
        fields = harness.stat_fields(victim)
        what = "weir run" if victim == p.pid else (fields[2] if fields else "gone")
        victims[what] = victims.get(what, 0) + 1
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            pass
        try:
            p.wait(15)
        except subprocess.TimeoutExpired:
            left = describe(harness.descendants(p.pid))
            harness.kill_group(p.pid)
            raise Failed(f"round {i}: weir run does not end after {what} (pid {victim}) was killed; below it: {left}")
        try:
            before.nothing_left(mark, name)
        except Failed as e:
            for pid in harness.with_argument(mark):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            raise Failed(f"round {i}: after kill -9 of {what}: {e}")
    case.note("killed: " + ", ".join(f"{n} x {what}" for what, n in sorted(victims.items())))


@test("faults", users=("root",), policies=("hosting", "all-trap"), serial=True, programs=["guest/load"])
def kill_9_of_each_process(case):
    kill_one(case, KILLS * 3 // 10)


@test("faults", users=("user",), policies=("hosting",), serial=True, programs=["guest/load"])
def kill_9_of_each_process_rootless(case):
    kill_one(case, KILLS * 3 // 10)


@test("faults", users=("single",), policies=("hosting",), serial=True, programs=["guest/load"])
def kill_9_of_each_process_one_id(case):
    kill_one(case, KILLS // 10)


def holders_of_listeners(pids):
    """Those of the processes that have a descriptor by which stopped calls are answered."""
    def links(pid):
        try:
            for fd in os.listdir(f"/proc/{pid}/fd"):
                try:
                    yield os.readlink(f"/proc/{pid}/fd/{fd}")
                except FileNotFoundError:	# closed meanwhile
                    pass
        except (FileNotFoundError, ProcessLookupError):
            pass

    return [pid for pid in pids if any("seccomp" in link for link in links(pid))]


@test("faults", users=("root", "user"), policies=("hosting", "jail"), serial=True, programs=["escape/orphan"])
def kill_9_hands_nobody_the_listener(case):
    """The guest kernel is killed while those who would end the guest are stopped: whatever still runs gets no answer
    and no listener, and all of it ends when they go on."""
    native = case.reference(case.ctx.program("escape/orphan"), "once").out
    for had in ("FAILED a listener", "is anon_inode:seccomp notify"):
        case.true(f"the program is not blind: {had}\n{native}", had in native)
    alone = 0
    for i in range(5):
        name, before = case.ctx.unique(), Before(case)
        p = case.start(case.ctx.program("escape/orphan"), name=name)
        case.equal("the program", p.stdout.readline(), b"ready\n")
        below = harness.descendants(p.pid)
        holders = holders_of_listeners(below)
        case.equal("who holds a listener", sorted({harness.exe(pid) for pid in holders}), [case.ctx.weir])
        others = [pid for pid in weir_processes(case, p.pid) if pid not in holders]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        for pid in holders:
            os.kill(pid, signal.SIGKILL)
        harness.wait_until(lambda: not [pid for pid in holders if harness.stat_fields(pid)
                                        and harness.stat_fields(pid)[1] != "Z"], 10)
        case.equal("who holds a listener then", holders_of_listeners(below), [])
        for pid in others:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        out = p.stdout.read().decode()
        p.wait(20)
        alone += out.count("alone\n")
        case.equal(f"what tasks without a guest kernel had, round {i}", out.replace("alone\n", ""), "")
        before.nothing_left(name, name)
    case.note(f"{alone} tasks called a guest kernel that was no more")


@test("faults", users=("root", "user"), policies=("hosting",), serial=True, programs=["guest/load"])
def kill_9_of_all_at_once(case):
    for _ in range(5):
        mark, name = "mark-" + case.ctx.unique(), case.ctx.unique()
        before = Before(case)
        p = case.start(case.ctx.program("guest/load"), mark, name=name)
        p.stdout.readline()
        for pid in weir_processes(case, p.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        p.wait(15)
        before.nothing_left(mark, name)


@test("faults", users=("root", "user"), policies=("hosting",), serial=True, programs=["guest/load"])
def kill_9_of_a_detached_guest(case):
    for _ in range(10):
        mark, name = "mark-" + case.ctx.unique(), case.ctx.unique()
        before = Before(case)
        case.detached(case.ctx.program("guest/load"), mark, name=name)
        pids = [p for p in harness.with_argument(name) if harness.exe(p).split(" (")[0] == case.ctx.weir]
        pids = [d for p in pids for d in weir_processes(case, p) if is_part_of_weir(case, d)]
        case.true("weir's processes were found", pids)
        time.sleep(random.random() * 0.2)
        try:
            os.kill(random.choice(pids), signal.SIGKILL)
        except ProcessLookupError:
            pass	# a helper that was just ending
        before.nothing_left(mark, name)	# the cleanup of detached() kills what is left, if it is not


@test("faults", users=("root", "user"), policies=("hosting",), serial=True, programs=["guest/load"])
def stopped_processes(case):
    """SIGSTOP of any process of weir's delays; it does not let a call through, and kill works after it."""
    mark, name = "mark-" + case.ctx.unique(), case.ctx.unique()
    before = Before(case)
    p = case.start(case.ctx.program("guest/load"), mark, name=name)
    p.stdout.readline()
    for pid in weir_processes(case, p.pid):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.05)
        os.kill(pid, signal.SIGCONT)
    case.status(case.weir("kill", name, timeout=30), 0)
    p.wait(15)
    before.nothing_left(mark, name)


@test("faults", users=("root", "user"), policies=("hosting",), serial=True, programs=["guest/pausable"])
def kill_9_of_a_paused_guest(case):
    """Frozen tasks die too, and their group goes with them; in a v1 group, once it is thawed."""
    masks = ("", "cgroup2", "cgroup2,cgroup1") if case.user.uid == 0 else ("",)
    for mask in masks:
        for victim in ("weir run", "weir-kernel", "weir-agent", "all"):
            name = case.ctx.unique()
            before = Before(case)
            p = case.start(case.ctx.program("guest/pausable"), "tasks", "20", name, name=name,
                           env={"WEIR_TEST_MASK": mask} if mask else None, stdout=subprocess.DEVNULL)
            case.true("it runs", harness.wait_until(lambda: len(harness.with_argument(name)) > 20))
            case.status(case.weir("pause", name), 0)
            pids = weir_processes(case, p.pid)
            names = {pid: "weir run" if pid == p.pid else harness.stat_fields(pid)[2] for pid in pids}
            hit = [pid for pid in pids if victim in (names[pid], "all")]
            case.true(f"{victim} is among {sorted(names.values())}", hit)
            for pid in hit:
                os.kill(pid, signal.SIGKILL)
            p.wait(15)
            if mask == "cgroup2" and victim == "all":
                # Nobody is there to thaw them, and they cannot die before: the next commands do it,
                # once the host has let go of the last thread of the guest's kernel.
                harness.wait_until(lambda: case.weir("list") and not harness.with_argument(name), 5)
            try:
                before.nothing_left(name, name)
            except Failed as e:
                raise Failed(f"{mask or 'no mask'}, kill -9 of {victim}: {e}")


# -- boots that cannot work --------------------------------------------------


def refused(case, result, pattern, statuses=(125,), before=None, name=None):
    case.one_line_error(result, statuses, pattern)
    case.equal("nothing was started", result.out, "")


def try_boot(case, pattern, *args, statuses=(125,), env=None, ids=None, **kw):
    name = case.ctx.unique()
    before = Before(case)
    r = case.command([case.ctx.weir, "run", "-n", name, *args], env=env, ids=ids, **kw)
    refused(case, r, pattern, statuses)
    before.nothing_left(name, name)
    return r


@test("faults")
def missing_root(case):
    try_boot(case, r"/no/such/root", "-r", "/no/such/root", "--", "/bin/echo", "started")


@test("faults")
def root_is_a_file(case):
    try_boot(case, r"passwd", "-r", "/etc/passwd", "--", "/bin/echo", "started")


@test("faults", users=("user",))
def root_is_unreadable(case):
    d = case.directory()
    os.chmod(d, 0o700)
    os.chown(d, 0, 0)
    try_boot(case, re.escape(d), "-r", d, "--", "/bin/echo", "started")


@test("faults")
def missing_init(case):
    root = case.empty_root("proc", "sys", "dev", "tmp", "run")
    try_boot(case, r"/sbin/init", "-r", root, statuses=(125, 127))


@test("faults")
def missing_command_in_a_root(case):
    root = case.empty_root("proc", "sys", "dev", "tmp", "run")
    try_boot(case, r"/bin/echo", "-r", root, "--", "/bin/echo", "started", statuses=(125, 127))


@test("faults")
def missing_script_interpreter(case):
    root = case.empty_root("proc", "sys", "dev", "tmp", "run")
    case.write(os.path.join(root, "script"), "#!/no/interpreter\n", 0o755)
    try_boot(case, r"/script", "-r", root, "--", "/script", statuses=(125, 126, 127))


@test("faults")
def missing_elf_interpreter(case):
    root = case.empty_root("proc", "sys", "dev", "tmp", "run")
    shutil.copy("/bin/echo", os.path.join(root, "echo"))
    os.chmod(os.path.join(root, "echo"), 0o755)
    try_boot(case, r"/echo", "-r", root, "--", "/echo", "started", statuses=(125, 126, 127))


@test("faults")
def root_without_directories(case):
    """A root with no /proc and no /dev: they are made, or the refusal names them."""
    root = case.empty_root()
    prog = os.path.join(root, "true")
    shutil.copy(case.ctx.program("guest/reference"), prog)
    os.chmod(prog, 0o755)
    name = case.ctx.unique()
    before = Before(case)
    r = case.command([case.ctx.weir, "run", "-n", name, "-r", root, "--", "/true"])
    if r.status != 2:	# reference without arguments says 2
        case.one_line_error(r, 125, r"/(proc|dev|sys|tmp|run)")
    before.nothing_left(name, name)


@test("faults")
def broken_policy(case):
    path = case.policy_file("[policy]\nname = t\n[guest]\nnonsense = 1\n")
    try_boot(case, r":4: ", "-p", path, "--", "/bin/echo", "started", statuses=(2,))


@test("faults", users=("root", "user"))
def read_only_root_directory(case):
    """writable = no: the root is not written, and says so with EROFS."""
    root = case.busybox_root()
    r = case.command([case.ctx.weir, "run", "-r", root, "--set", "guest.writable=no", "--", "/busybox", "touch", "/x"])
    case.equal("touch fails", r.status, 1)
    case.matches("with EROFS", r.err, r"[Rr]ead-only")
    case.equal("nothing is there", os.path.exists(os.path.join(root, "x")), False)


def in_new_mounts(case, setup):
    """weir run inside a private mount namespace that `setup` (sh) changed first; only root can."""
    if os.getuid() != 0:
        raise Skipped("only root can mount")
    return ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", setup + '\nexec "$@"', "sh"]


@test("faults", users=("root", "user", "single"), serial=True)
def full_state_directory(case):
    """The runtime directory is on a full file system."""
    where = "/run/weir" if case.user.uid == 0 else os.path.join(case.directory(), "tiny")
    setup = (f"mkdir -p {where} && mount -t tmpfs -o size=4k,nr_inodes=2,mode=0700,uid={case.user.uid} none {where} && "
             f"head -c 4096 /dev/zero >{where}/full; chown {case.user.uid} {where}/full")
    wrap = in_new_mounts(case, setup)
    change = [] if case.user.uid == 0 else ["setpriv", f"--reuid={case.user.uid}", f"--regid={case.user.gid}", "--clear-groups"]
    r = case.command([*wrap, *change, case.ctx.weir, "run", "--", "/bin/echo", "started"],
                     env={"XDG_RUNTIME_DIR": where}, ids={})
    case.one_line_error(r, 125, r"(?i)space|full|run")
    case.equal("nothing was started", r.out, "")


@test("faults", users=("root", "user"), serial=True)
def full_disk_inside(case):
    """The overlay's upper layer fills up: the guest gets ENOSPC, its kernel goes on."""
    r = case.shell("head -c 100M /dev/zero >/tmp/big 2>/tmp/err; hostname after && hostname; rm -f /tmp/big", timeout=60)
    case.status(r, 0)
    case.matches("the guest kernel answers", r.out, "after")


@test("faults", users=("single",))
def no_subordinate_ids(case):
    """With one id a guest runs; a policy that asks for a range is refused by name."""
    case.equal("it runs", case.status(case.run("/bin/echo", "runs"), 0).out, "runs\n")
    r = case.shell("cat /proc/self/uid_map", options=["-v"])
    case.matches("the boot log says that there is one id", r.err, r"(?i)subuid|subordinate|single|one id")
    try_boot(case, r"(?i)subuid|ids|uid|range", "--set", "ids.uid=0 100000 65536", "--set", "ids.gid=0 100000 65536",
             "--", "/bin/echo", "started", statuses=(2, 125))


@test("faults", users=("user", "single"), serial=True)
def user_namespaces_switched_off(case):
    """Inside a user namespace whose user.max_user_namespaces is 0."""
    wrap = ["unshare", "--user", "--map-current-user", "--keep-caps", "/bin/sh", "-c",
            'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps=-all --inh-caps=-all "$@"', "sh"]
    probe = case.command([*wrap, "unshare", "--user", "true"])
    if probe.status == 0 or "max_user_namespaces" in probe.err or "setpriv" in probe.err:
        raise Skipped("user namespaces cannot be switched off for one user here")
    r = case.command([*wrap, case.ctx.weir, "run", "--", "/bin/echo", "started"])
    case.one_line_error(r, 125, r"(?i)user namespace|max_user_namespaces")
    case.equal("nothing was started", r.out, "")


# Feature: {user: what the boot log says when a guest goes without it (None: it is not
# needed then, and nothing is lost), or ("refused", the error)}.
FEATURES = {
    "cgroup1": {"root": None, "user": None},
    "cgroup2": {"root": r"cgroup", "user": r"cgroup"},
    "fuse": {"root": r"no FUSE", "user": r"no FUSE"},
    "idmap": {"root": r"id map", "user": None},
    "newuidmap": {"root": None, "user": r"newuidmap"},
    "open_tree": {"root": ("refused", "open_tree"), "user": ("refused", "open_tree")},
    # Found out when init runs already: suite sched waits for it.
    "perf": {"root": None, "user": None},
    "procchildren": {"root": None, "user": None},
    "mdwe": {"root": None, "user": None},
    "ptrace": {"root": r"does not let the guest's tasks be traced", "user": r"does not let the guest's tasks be traced"},
    "subuid": {"root": None, "user": r"/etc/subuid"},
    "vdso": {"root": r"clocks are read by trapped calls", "user": r"clocks are read by trapped calls"},
    "veth": {"root": ("refused", "module veth"), "user": ("refused", "module veth")},
}
# A feature that only some policy asks for; the others are hosting's.
FEATURE_POLICY = {"vdso": "time-lab", "ptrace": "time-lab"}
FEATURE_OPTIONS = {"veth": ["--set", "net.0.address=10.7.0.2/24"]}


def masked_in_source():
    """The features that weir's probes ask about, when the source lies beside the tests."""
    found = set()
    for top, _, files in os.walk(os.path.join(os.path.dirname(harness.TESTS), "src")):
        for name in files:
            if name.endswith(".c"):
                with open(os.path.join(top, name)) as f:
                    found.update(re.findall(r'feature_masked\("(\w+)"\)', f.read()))
    return found


def mask_feature(feature, wanted):
    def run(case):
        want = wanted[case.user.kind]
        name = case.ctx.unique()
        before = Before(case)
        r = case.run("/bin/echo", "started", options=["-v", *FEATURE_OPTIONS.get(feature, [])], name=name,
                     env={"WEIR_TEST_MASK": feature})
        if isinstance(want, tuple):
            case.equal("status", r.status, 125)
            case.equal("nothing was started", r.out, "")
            errors = [line for line in r.err.splitlines() if line.startswith("weir: ")]
            case.equal("lines of error", len(errors), 1)
            case.matches("it names the feature", errors[0], want[1])
        else:
            case.status(r, 0)
            case.equal("it ran", r.out, "started\n")
            if want:
                case.matches(f"the boot log says what {feature} would have given", r.err, want)
        before.nothing_left(name, name)

    return run


for feature, wanted in FEATURES.items():
    harness.add("faults", "without-" + feature, mask_feature(feature, wanted), users=tuple(wanted),
                policies=(FEATURE_POLICY.get(feature, "hosting"),))


@test("faults", users=("root",), policies=(None,))
def every_feature_has_a_test(case):
    case.equal("features that weir's probes know and FEATURES does not", sorted(masked_in_source() - set(FEATURES)), [])


@test("faults", users=("root", "user"), policies=("hosting",))
def without_all_that_is_optional(case):
    optional = ",".join(f for f, wanted in FEATURES.items() if not isinstance(wanted[case.user.kind], tuple))
    r = case.run("/bin/echo", "started", options=["-v"], env={"WEIR_TEST_MASK": optional})
    case.status(r, 0)
    case.equal("it ran", r.out, "started\n")


@test("faults", users=("root", "user"), policies=("hosting",))
def memory_limit_without_cgroups(case):
    """A limit that cannot be kept is refused by name."""
    r = case.run("/bin/echo", "started", options=["--set", "guest.memory=64M", "--set", "memory.budget=cgroup"],
                 env={"WEIR_TEST_MASK": "cgroup2,cgroup1"})
    case.one_line_error(r, (2, 125), r"memory|cgroup")
    case.equal("nothing was started", r.out, "")


@test("faults", users=("root",), policies=("hosting",), serial=True)
def memory_limit_is_kept(case):
    r = case.run("/bin/sh", "-c", "head -c 400M /dev/zero | tail -c 300M | wc -c; echo survived",
                 options=["--set", "guest.memory=96M"])
    case.status(r, 0)
    case.true("the eater was ended", "314572800" not in r.out and "survived" in r.out)


@test("faults", users=("root", "user"), policies=("hosting",))
def few_descriptors(case):
    """weir started with too few descriptors: a refusal, or a guest; never half of one."""
    for limit in (3, 4, 8, 16, 32, 64):
        name = case.ctx.unique()
        before = Before(case)
        r = case.command(["/bin/sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh", *case.run_argv(["/bin/echo", "ran"], name=name)])
        if r.status == 0:
            case.equal("out", r.out, "ran\n")
        elif r.status != 127 and r.status not in (2, 125):
            raise Failed(f"with {limit} descriptors\n{r.text()}")
        before.nothing_left(name, name)


@test("faults", users=("root", "user"), policies=("hosting",))
def closed_descriptors(case):
    """weir started with 0, 1 or 2 closed."""
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        name = case.ctx.unique()
        before = Before(case)
        r = case.command(["/bin/sh", "-c", f'"$@" {closed}', "sh", *case.run_argv(["/bin/true"], name=name)])
        if r.status not in (0, 2, 125):
            raise Failed(f"with {closed}\n{r.text()}")
        before.nothing_left(name, name)


@test("faults", users=("root", "user"), policies=("hosting",), serial=True)
def many_boots_leave_nothing(case):
    name = case.ctx.unique()
    before = Before(case)
    for _ in range(50):
        case.status(case.run("/bin/true", name=name), 0)
    before.nothing_left(name, name)


@test("faults", users=("root", "user"), policies=("hosting",), serial=True)
def many_guests_at_once(case):
    before = Before(case)
    names = [case.ctx.unique() for _ in range(10)]
    running = [case.start("/bin/sh", "-c", "hostname; sleep 1; hostname", name=n) for n in names]
    for p, n in zip(running, names):
        out, err = p.communicate(timeout=60)
        case.equal(f"{n}: {err}", out.decode(), f"{n}\n{n}\n")
    before.nothing_left(names[0], names[0])

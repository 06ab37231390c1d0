# SPDX-License-Identifier: Apache-2.0
"""Suite "commands": weir pause and weir resume

A guest is frozen in a v2 group, in a v1 freezer, or by SIGSTOP, whichever the host and
the user's rights allow; WEIR_TEST_MASK takes ways away, so that root tests all three.
"""

import json
import os
import signal
import subprocess
import time

import harness
from harness import Skipped, test

# Ways to freeze, by the features that are hidden from weir, and what its log calls them.
WAYS = {"root": {"": "in a cgroup", "cgroup2": "in a cgroup", "cgroup2,cgroup1": "by SIGSTOP"},
        "user": {"": None}, "single": {"": None}}
LOADS = (["count"], ["tasks", "200"], ["forks"], ["traps"], ["vforks"], ["waits"], ["stopped"])


def rmdir(path):
    """Is it still there?"""
    try:
        os.rmdir(path)
    except OSError:
        return os.path.isdir(path)
    return False


class Load:
    """A guest that runs guest/pausable, and the file that grows while it does."""

    def __init__(self, case, *args, env=None, options=()):
        self.case = case
        self.path = case.write(os.path.join(case.directory(), "steps"), "")
        with open(self.path, "ab") as f:
            self.p = case.start(case.ctx.program("guest/pausable"), *args, env=env, options=options, stdout=f)
        self.name = self.p.guest
        case.true(f"{args[0]}: it runs", harness.wait_until(lambda: self.size() > 20))

    def size(self):
        return os.path.getsize(self.path)

    def steps(self):
        with open(self.path) as f:
            return f.read()

    def pause(self, *options):
        return self.case.weir("pause", *options, self.name, timeout=40)

    def resume(self):
        return self.case.weir("resume", self.name)

    def state(self):
        return self.case.stats(self.name)["guest"]["state"]

    def stands_still(self, what):
        before = self.size()
        time.sleep(0.25)
        self.case.equal(f"{what}: steps while it was paused", self.size() - before, 0)

    def runs(self, what):
        before = self.size()
        self.case.true(f"{what}: it runs again", harness.wait_until(lambda: self.size() > before + 20))

    def pause_and_resume(self, what):
        self.case.status(self.pause(), 0)
        self.stands_still(what)
        self.case.equal(f"{what}: state", self.state(), "paused")
        self.case.status(self.resume(), 0)
        self.runs(what)
        self.case.equal(f"{what}: state", self.state(), "running")


def each_way(case):
    for mask, how in WAYS[case.user.kind].items():
        yield {"WEIR_TEST_MASK": mask} if mask else None, how


@test("commands", users=("root", "user", "single"), programs=["guest/pausable"])
def pause_and_resume(case):
    for env, how in each_way(case):
        for args in LOADS:
            load = Load(case, *args, env=env)
            what = f"{' '.join(args)} {env or ''}"
            for _ in range(3):
                load.pause_and_resume(what)
            steps = load.steps()
            case.true(f"{what}: no parent saw a child stop", "S" not in steps)
            case.true(f"{what}: what the guest had stopped stays so", "X" not in steps)
            if how:
                case.matches(f"{what}: the way", case.weir("log", load.name).out, f"pause: frozen {how}")
            case.status(case.weir("kill", load.name), 0)
            load.p.wait(15)


@test("commands", users=("root", "user"), programs=["guest/pausable"])
def pause_without_lists_of_children(case):
    """CONFIG_PROC_CHILDREN is not everywhere: then all parents are asked for. That takes longer than a process lives
    that does nothing but fork, which may not be caught so (doc/caveats.md)."""
    for mask in ("procchildren", "procchildren,cgroup2,cgroup1"):
        load = Load(case, "tasks", "100", env={"WEIR_TEST_MASK": mask})
        for _ in range(3):
            load.pause_and_resume(f"tasks without {mask}")
        case.status(case.weir("kill", load.name), 0)
        load.p.wait(15)


@test("commands", policies=("all-trap",), programs=["guest/pausable"])
def pause_while_everything_traps(case):
    for env, _ in each_way(case):
        for args in (["forks"], ["tasks", "50"]):
            load = Load(case, *args, env=env)
            for _ in range(3):
                load.pause_and_resume(f"{args[0]} {env or ''}")
            case.status(case.weir("kill", load.name), 0)


@test("commands", users=("root",), programs=["guest/pausable"])
def pause_with_limits(case):
    """A guest that has groups for its limits is frozen in them, or in one beside them."""
    load = Load(case, "tasks", "20", options=["--set", "guest.memory=256M"])
    for _ in range(3):
        load.pause_and_resume("with a memory limit")


@test("commands", programs=["guest/pausable"])
def paused_guest_is_shown_and_refuses_exec(case):
    load = Load(case, "count")
    case.status(load.pause(), 0)
    case.matches("weir list", case.weir("list").out, rf"(?m)^{load.name}\s+paused\s")
    listed = [g for g in json.loads(case.weir("list", "--json").out) if g["name"] == load.name]
    case.equal("weir list --json", listed[0]["state"], "paused")
    case.one_line_error(case.weir("exec", load.name, "--", "/bin/true"), 125, "paused.*weir resume")
    r = case.status(load.pause(), 0)
    case.equal("a second pause says nothing", r.out + r.err, "")
    case.status(load.resume(), 0)
    case.status(load.resume(), 0)
    load.runs("after two resumes")
    case.status(case.weir("exec", load.name, "--", "/bin/true"), 0)
    load.pause_and_resume("after an exec")


@test("commands", programs=["guest/pausable"])
def exec_is_paused_too(case):
    """A process of weir exec has the guest kernel as its parent, not the guest's init."""
    load = Load(case, "count")
    steps = case.write(os.path.join(case.directory(), "steps"), "")
    with open(steps, "ab") as f:
        p = subprocess.Popen([case.ctx.weir, "exec", load.name, "--", case.ctx.program("guest/pausable"), "tasks", "3"],
                             stdin=subprocess.DEVNULL, stdout=f, env=case.user.env(), cwd="/", **case.user.popen_ids())
    case.cleanups.append(lambda: harness.stop_popen(p))
    case.true("it runs", harness.wait_until(lambda: os.path.getsize(steps) > 20))
    case.status(load.pause(), 0)
    before = os.path.getsize(steps)
    load.stands_still("the guest's command")
    case.equal("steps of the exec'ed one", os.path.getsize(steps) - before, 0)
    case.status(load.resume(), 0)
    case.true("it runs again", harness.wait_until(lambda: os.path.getsize(steps) > before + 20))


@test("commands", users=("root", "user"), programs=["guest/pausable"])
def stop_kill_and_reboot_a_paused_guest(case):
    for env, _ in each_way(case):
        before = harness.cgroups()
        for verb in (["stop"], ["stop", "-t", "0"], ["kill"]):
            load = Load(case, "tasks", "20", env=env)
            case.status(load.pause(), 0)
            begin = time.monotonic()
            case.status(case.weir(*verb, load.name, timeout=30), 0)
            load.p.wait(15)
            case.true(f"{verb} {env}: {time.monotonic() - begin:.1f} s", time.monotonic() - begin < 5)
            case.true("gone", load.name not in case.weir("list").out)
        load = Load(case, "count", env=env)
        case.status(load.pause(), 0)
        case.status(case.weir("reboot", load.name), 0)
        load.runs("after a reboot")
        case.equal("state", load.state(), "running")
        load.pause_and_resume("the rebooted guest")
        case.status(case.weir("kill", load.name), 0)
        load.p.wait(15)
        case.equal("groups that are left", {g for g in harness.cgroups() - before if load.name in g}, set())


@test("commands", programs=["guest/pausable"])
def sigterm_to_weir_run_of_a_paused_guest(case):
    """The command hears it when it runs again; a second one ends the guest as ever."""
    load = Load(case, "tasks", "5")
    case.status(load.pause(), 0)
    load.p.terminate()
    load.stands_still("after SIGTERM")
    load.p.terminate()
    load.p.wait(15)


@test("commands", users=("root", "user"), programs=["guest/pausable"])
def pause_without_patience(case):
    """What does not freeze in time is said, and the guest runs on."""
    load = Load(case, "tasks", "50")
    case.one_line_error(load.pause("-t", "0"), 1, "runs on")
    load.runs("after a pause that failed")
    case.equal("state", load.state(), "running")
    load.pause_and_resume("afterwards")


@test("commands", users=("root", "user"), policies=("hosting",))
def pause_names_what_does_not_freeze(case):
    """A task whose call nobody answers, as the guest's agent stands still."""
    name = case.detached("/bin/sh", "-c", "while :; do mount -t tmpfs none /tmp; umount /tmp; done")
    kernel = case.kernel_pid(name)
    # What the agent forks for each mount bears its name, too: the agent is the kernel's own child.
    agents = [p for p, (parent, _, comm) in harness.processes().items() if parent == kernel and comm == "weir-agent"]
    case.equal("agents", len(agents), 1)
    os.kill(agents[0], signal.SIGSTOP)
    try:
        time.sleep(0.3)
        r = case.weir("pause", "-t", "1", name, timeout=20)
        case.one_line_error(r, 1, r"host process \d+ \((u?mount), state D\) did not freeze in time; the guest runs on")
        case.matches("it runs on", case.weir("list").out, rf"(?m)^{name}\s+running\s")
    finally:
        os.kill(agents[0], signal.SIGCONT)
    case.status(case.weir("pause", name), 0)
    case.status(case.weir("resume", name), 0)
    case.status(case.weir("exec", name, "--", "/bin/true"), 0)


@test("commands", users=("root",), programs=["guest/pausable"])
def pause_of_a_guest_with_groups_of_its_own(case):
    """Tasks that are in another group than weir's stay there, and are stopped by a signal."""
    tops = [t for t in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(t + "/cgroup.procs")]
    if not tops:
        raise Skipped("no cgroup v2 tree")
    load = Load(case, "tasks", "5")
    group = os.path.join(tops[0], "test-" + case.ctx.unique())
    os.mkdir(group)
    case.cleanups.append(lambda: harness.wait_until(lambda: not rmdir(group)))
    case.cleanups.append(lambda: harness.stop_popen(load.p))
    task = [p for p in harness.descendants(load.p.pid) if harness.stat_fields(p)[2] == "pausable"][-1]
    with open(group + "/cgroup.procs", "w") as f:
        f.write(str(task))
    load.pause_and_resume("with a group of its own")
    case.matches("the way", case.weir("log", load.name).out, "pause: frozen by SIGSTOP")
    with open(group + "/cgroup.procs") as f:
        case.true("the task is where it was", str(task) in f.read().split())


@test("commands", users=("root",), policies=(None,), programs=["guest/pausable"])
def pause_with_delegation(case):
    """An ordinary user to whom a v2 group was delegated: the guest is frozen in a group below it."""
    tops = [t for t in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(t + "/cgroup.procs")]
    user = case.ctx.users.get("user")
    if not tops or not user:
        raise Skipped("no cgroup v2 tree, or no ordinary user")
    case.user = user
    group = os.path.join(tops[0], "test-" + case.ctx.unique())
    os.mkdir(group)
    case.cleanups.append(lambda: harness.wait_until(lambda: not rmdir(group)))
    for name in ("", "/cgroup.procs", "/cgroup.subtree_control"):
        os.chown(group + name, user.uid, user.gid)

    def enter():
        with open(group + "/cgroup.procs", "w") as f:
            f.write("0")
        os.setgroups([])
        os.setgid(user.gid)
        os.setuid(user.uid)

    path = case.write(os.path.join(case.directory(), "steps"), "")
    name = case.ctx.unique()
    with open(path, "ab") as f:
        p = subprocess.Popen(case.run_argv([case.ctx.program("guest/pausable"), "forks"], name=name), env=user.env(),
                             cwd="/", stdin=subprocess.DEVNULL, stdout=f, start_new_session=True, preexec_fn=enter)
    case.cleanups.append(lambda: harness.stop_popen(p))
    case.true("it runs", harness.wait_until(lambda: os.path.getsize(path) > 20))
    case.status(case.weir("pause", name), 0)
    before = os.path.getsize(path)
    time.sleep(0.25)
    case.equal("steps while it was paused", os.path.getsize(path) - before, 0)
    case.matches("the way", case.weir("log", name).out, "pause: frozen in a cgroup")
    case.status(case.weir("resume", name), 0)
    case.true("it runs again", harness.wait_until(lambda: os.path.getsize(path) > before + 20))
    case.status(case.weir("kill", name), 0)
    p.wait(15)
    case.equal("groups that are left", [d for d in os.listdir(group) if "weir" in d], [])


@test("commands", policies=(None,))
def pause_usage(case):
    for args in (["pause"], ["pause", "-t", "x", "a"], ["pause", "-t", "-1", "a"], ["resume"], ["resume", "a", "b"]):
        case.one_line_error(case.weir(*args), 2, "usage: weir " + args[0])
    for verb in ("pause", "resume"):
        case.one_line_error(case.weir(verb, "nobody"), 1, "nobody")

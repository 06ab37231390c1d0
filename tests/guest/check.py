# SPDX-License-Identifier: Apache-2.0
"""Suite "commands": weir check

A guest of each shipped policy is as it should be; a guest that was put out of
posture from outside, where nothing of weir's holds it, is found.
"""

import json
import os
import shutil
import socket
import subprocess

import harness
from harness import Failed, Skipped, test

SHIPPED = ("hosting", "jail", "all-trap", "build", "time-lab")
ALL = ("root", "user", "single")


def init_pid(case, name):
    return case.stats(name)["guest"]["init_pid"]


def findings(case, name, status=1):
    r = case.status(case.weir("check", "--json", name), status)
    return json.loads(r.out)["findings"]


def found(case, name, what, text):
    """A finding of this kind that says this; the other findings if there is none."""
    got = findings(case, name)
    if not any(f["what"] == what and text in f["text"] for f in got):
        raise Failed(f"no finding {what}: {text!r} among\n" + "\n".join(f"{f['what']}: {f['text']}" for f in got))


@test("commands", policies=SHIPPED, users=ALL)
def check_of_each_policy(case):
    # A tree of processes, one whose directory is gone, one with a file of the guest's open; and one by exec.
    script = "mkdir /tmp/d; cd /tmp/d; sleep 60 & rmdir /tmp/d; (exec sleep 60 3</etc/passwd) & echo up; wait"
    p = case.start("/bin/sh", "-c", script)
    case.equal("the guest is up", p.stdout.readline(), b"up\n")
    name = p.guest
    entered = subprocess.Popen([case.ctx.weir, "exec", name, "--", "/bin/sh", "-c", "echo in; exec sleep 60"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=case.user.env(), cwd="/",
                               start_new_session=True, **case.user.popen_ids())
    case.cleanups.append(lambda: harness.stop_popen(entered))
    case.equal("a process has entered", entered.stdout.readline(), b"in\n")
    r = case.status(case.weir("check", name), 0)
    case.matches("what it says", r.out, rf"^{name}: as it should be: [5-9] tasks, kernel, agent and monitor$")
    case.equal("findings", findings(case, name, 0), [])


@test("commands", users=("root", "user"))
def check_of_nested_namespaces(case):
    """What the policy lets a guest make for itself is no finding."""
    script = "unshare -m -p -i -f sh -c 'mount -t tmpfs x /tmp; cd /tmp; echo up; exec sleep 60'"
    p = case.start("/bin/sh", "-c", script)
    case.equal("the guest is up", p.stdout.readline(), b"up\n")
    case.equal("findings", findings(case, p.guest, 0), [])


@test("commands", users=("root", "user"))
def check_while_processes_come_and_go(case):
    p = case.start("/bin/sh", "-c", "echo up; while :; do /bin/true; (exit 0) & wait; done")
    case.equal("the guest is up", p.stdout.readline(), b"up\n")
    for _ in range(30):
        case.equal("findings", findings(case, p.guest, 0), [])


def entered_from_outside(case, name, *options):
    """A process that gets into the guest past weir."""
    nsenter = shutil.which("nsenter")
    if not nsenter:
        raise Skipped("no nsenter (util-linux)")
    p = subprocess.Popen([nsenter, "-t", str(init_pid(case, name)), *options, "/bin/sh", "-c", "echo in; sleep 60"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd="/", start_new_session=True)
    case.cleanups.append(lambda: (harness.kill_group(p.pid), p.wait(10), p.stdout.close()))
    case.equal("it is in", p.stdout.readline(), b"in\n")


@test("commands", policies=("hosting", "jail"), users=("root",))
def check_finds_a_task_without_the_mask(case):
    name = case.detached("/bin/sleep", "60")
    case.equal("findings before", findings(case, name, 0), [])
    entered_from_outside(case, name, "-a")
    found(case, name, "seccomp", "the mask is not over this task")
    found(case, name, "capabilities", "net_admin")
    for which in ("permitted", "effective", "bounding"):
        found(case, name, "capabilities", f"in the {which} set")
    found(case, name, "descriptor", "lies beneath no mount of the guest's")
    if case.policy == "jail":
        found(case, name, "no_new_privs", "not set")
    lines = case.status(case.weir("check", name), 1).out.splitlines()
    case.equal("a line for each finding", len(lines), len(findings(case, name)))


@test("commands", users=("root",))
def check_finds_a_task_in_the_host_s_namespaces(case):
    name = case.detached("/bin/sleep", "60")
    entered_from_outside(case, name, "-p", "-U")
    found(case, name, "namespace", "mnt: the host's")
    found(case, name, "namespace", "net: the host's")
    found(case, name, "cwd", "beneath no mount")
    found(case, name, "root", "beneath no mount")


@test("commands", users=("root",))
def check_finds_a_stranger_in_the_user_namespace(case):
    name = case.detached("/bin/sleep", "60")
    entered_from_outside(case, name, "-U")
    found(case, name, "stranger", "user namespace")


@test("commands", users=ALL, programs=["guest/holdfd"])
def check_finds_leaked_descriptors(case):
    """A directory, a namespace and a process of the host's, sent to a guest that was given a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        p = case.start(case.ctx.program("guest/holdfd"), stdin=theirs)
        fds = [os.open("/", os.O_RDONLY | os.O_DIRECTORY), os.open("/proc/self/ns/net", os.O_RDONLY),
               os.pidfd_open(os.getpid())]
        socket.send_fds(ours, [b"x"], fds)
        case.equal("descriptors that came", p.stdout.readline(), b"3\n")
        for fd in fds:
            os.close(fd)
        found(case, p.guest, "descriptor", "/ lies beneath no mount of the guest's")
        found(case, p.guest, "descriptor", "is a namespace of the host's")
        found(case, p.guest, "descriptor", f"holds process {os.getpid()}")


@test("commands", users=("root", "user"), policies=("hosting",))
def check_sees_the_kernel_confined(case):
    """What weir check compares, looked at once without it."""
    name = case.detached("/bin/sleep", "60")
    kernel = case.kernel_pid(name)
    for tid in os.listdir(f"/proc/{kernel}/task"):
        with open(f"/proc/{kernel}/task/{tid}/status") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
        case.equal("NoNewPrivs", status["NoNewPrivs"], "1")
        case.equal("Seccomp", status["Seccomp"], "2")
        caps = int(status["CapPrm"], 16)
        case.equal("the bounding set", int(status["CapBnd"], 16) & ~caps, 0)
        for bad in (12, 13, 16, 17, 19, 21, 22, 25):	# net, modules, I/O, ptrace, admin, boot, time
            case.equal(f"capability {bad}", caps >> bad & 1, 0)


@test("commands", policies=(None,), users=("root", "user"))
def check_usage(case):
    case.one_line_error(case.weir("check"), 2, "usage: weir check")
    case.one_line_error(case.weir("check", "--yaml", "x"), 2, "usage: weir check")
    case.one_line_error(case.weir("check", "nobody"), 1, "nobody")

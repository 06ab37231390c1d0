# SPDX-License-Identifier: Apache-2.0
"""Suite "rootless": guests of ordinary users, with and without subordinate ids

The programs of suite "guest" run again as a user who has one id only, against a
native run with one id. The rest is what only an ordinary user meets.
"""

import importlib.util
import os
import re
import stat

import harness
from harness import Failed, Skipped, need, test

spec = importlib.util.spec_from_file_location("guest_suite_for_rootless", os.path.join(harness.TESTS, "guest/suite.py"))
guest = importlib.util.module_from_spec(spec)
registered = harness.TESTS_BY_SUITE.pop("guest", None)
spec.loader.exec_module(guest)
if registered is None:
    harness.TESTS_BY_SUITE.pop("guest", None)
else:
    harness.TESTS_BY_SUITE["guest"] = registered

# What asks for a second id, which this guest has not.
TWO_IDS = {"ids", "mknod_umask", "rlimit_other", "setuid"}

for name in sorted(guest.PROGRAMS.keys() - TWO_IDS):
    harness.add("rootless", "program-" + name.replace("_", "-"), guest.both_ways(name), users=("single",),
                policies=("hosting",), programs=["guest/" + name])


@test("rootless", users=("user",))
def id_map_of_a_range(case):
    r = case.status(case.shell("cat /proc/self/uid_map; echo; cat /proc/self/gid_map"), 0)
    for text in r.out.split("\n\n"):
        total = sum(int(line.split()[2]) for line in text.splitlines())
        case.true(f"the whole range is mapped: {text!r}", total > 60000)
        case.equal("0 is inside", text.split()[0], "0")


@test("rootless", users=("single",))
def id_map_of_one(case):
    r = case.status(case.shell("cat /proc/self/uid_map; id -u; touch /tmp/x; stat -c %u /tmp/x"), 0)
    lines = r.out.split()
    case.equal("the map", lines[0] + " " + lines[2], "0 1")
    case.equal("uid", lines[3:], ["0", "0"])


@test("rootless", users=("user", "single"))
def files_in_a_directory_root_are_ones_own(case):
    """With -r DIR the guest writes DIR (writable = yes): files of guest root are the user's."""
    root = case.busybox_root("etc", "root")
    case.status(case.command([case.ctx.weir, "run", "-r", root, "--", "/sh", "-c", "echo hello >/made"], cwd="/"), 0)
    st = os.stat(os.path.join(root, "made"))
    case.equal("owner", st.st_uid, case.user.uid)


@test("rootless", users=("user",))
def files_given_away_inside(case):
    root = case.busybox_root("etc", "root")
    case.status(case.command([case.ctx.weir, "run", "-r", root, "--", "/busybox", "sh", "-c",
                              "echo x >/made; /busybox chown 1000:1000 /made; /busybox ls -ln /made"]), 0)
    st = os.stat(os.path.join(root, "made"))
    case.true(f"owner {st.st_uid} is of the subordinate range", st.st_uid >= 100000)
    case.command([case.ctx.weir, "run", "-r", root, "--", "/busybox", "rm", "/made"])


@test("rootless", users=("user",))
def su_and_passwd_databases(case):
    need("su")
    script = "su -s /bin/sh nobody -c 'id -un; id -u'"
    if case.reference("/bin/sh", "-c", script).status:
        raise Skipped("su cannot do it in namespaces of this host without weir either (PAM may want /etc/shadow)")
    r = case.shell(script)
    case.status(r, 0)
    case.equal("who", r.out.split(), ["nobody", "65534"])


@test("rootless", users=("user", "single"))
def nothing_is_gained_outside(case):
    """The processes of a rootless guest have no id on the host but the user's own."""
    name = case.detached("/bin/sleep", "60")
    mine = {case.user.uid}
    with open("/etc/subuid") as f:
        for line in f:
            who, start, count = line.strip().split(":")
            if who in (case.user.name, str(case.user.uid)):
                mine.update(range(int(start), int(start) + int(count)))
    pids = [p for p in harness.processes() if name.encode() in cmdline(p)]
    case.true("weir's processes were found", pids)
    for pid in set(pids) | {d for p in pids for d in harness.descendants(p)}:
        try:
            with open(f"/proc/{pid}/status") as f:
                status = f.read()
        except OSError:
            continue
        uids = [int(u) for u in re.search(r"(?m)^Uid:\s+(.*)$", status).group(1).split()]
        case.true(f"pid {pid} has ids {uids}", set(uids) <= mine)


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read()
    except OSError:
        return b""


@test("rootless", users=("user", "single"))
def state_directory_is_private(case):
    name = case.detached("/bin/sleep", "60")
    top = case.user.state_dir()
    for path in (top, os.path.join(top, name)):
        case.equal(f"mode of {path}", oct(stat.S_IMODE(os.stat(path).st_mode)), "0o700")
        case.equal(f"owner of {path}", os.stat(path).st_uid, case.user.uid)
    case.status(case.weir("kill", name), 0)
    case.true("gone with the guest", not os.path.exists(os.path.join(top, name)))


@test("rootless", users=("user", "single"))
def another_user_sees_nothing(case):
    name = case.detached("/bin/sleep", "60")
    other = case.ctx.users.get("single" if case.user.kind == "user" else "user")
    if not other:
        raise Skipped("there is no other user")
    r = case.command([case.ctx.weir, "list"], env=other.env(), ids=other.popen_ids())
    case.true("not in another user's list", name not in r.out)
    r = case.command([case.ctx.weir, "kill", name], env=dict(other.env(), XDG_RUNTIME_DIR=case.user.runtime),
                     ids=other.popen_ids())
    case.true("not to be killed by another user", r.status != 0)
    case.matches("it runs", case.weir("list").out, re.escape(name))


@test("rootless", users=("user", "single"))
def no_runtime_directory(case):
    env = {k: v for k, v in case.user.env().items() if k != "XDG_RUNTIME_DIR"}
    import subprocess
    p = subprocess.run([case.ctx.weir, "run", "--", "/bin/true"], env=env, capture_output=True, text=True, cwd="/",
                       stdin=subprocess.DEVNULL, timeout=60, **case.user.popen_ids())
    if p.returncode != 0:
        case.equal("status", p.returncode in (2, 125), True)
        case.true(f"one line that names it: {p.stderr}", len(p.stderr.splitlines()) == 1 and "XDG_RUNTIME_DIR" in p.stderr)


@test("rootless", users=("user", "single"))
def runtime_directory_of_another(case):
    """A runtime directory that is not one's own, or a link to one, is not used."""
    other = case.ctx.users.get("single" if case.user.kind == "user" else "user")
    if not other:
        raise Skipped("there is no second user here")
    r = case.run("/bin/echo", "started", env={"XDG_RUNTIME_DIR": other.runtime})
    case.true(f"refused: {r.err}", r.status in (2, 125) and r.out == "")
    d = case.directory()
    os.symlink("/etc", os.path.join(d, "weir"))
    r = case.run("/bin/echo", "started", env={"XDG_RUNTIME_DIR": d})
    case.true(f"a linked state directory is refused: {r.err}", r.status in (2, 125) and r.out == "")


@test("rootless", users=("user", "single"))
def host_namespaces_are_refused_or_harmless(case):
    """What only root may share with a guest is refused by name."""
    r = case.run("/bin/echo", "started", options=["--set", "namespaces.user=host"])
    case.one_line_error(r, (2, 125), "user")
    r = case.shell("kill -0 1; ls /proc | grep -c '^[0-9]'", options=["--set", "namespaces.net=host"])
    if r.status not in (0, 2, 125):
        raise Failed(r.text())

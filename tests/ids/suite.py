# SPDX-License-Identifier: Apache-2.0
"""Suite "ids": users and owners that the guest kernel keeps over one host id

The programs matrix.c, creds.c and others.c print a line for each answer of a system
with many ids. They run natively, as root, and in a guest whose user has one id: all
lines have to be the same. What people run on such a system (dpkg, su, sudo) and what
stays after a restart or a kill -9 follows, in a root of the user's own.
"""

import os
import shutil
import signal
import subprocess
import time

import harness
from harness import Failed, Skipped, need, test

ONE_ID = ("single", "user")	# id-lab uses one id of theirs, whether they have more or not
POLICIES = ("id-lab",)


def native(case, *command):
    """As real root, who has all ids."""
    if os.getuid() != 0:
        raise Skipped("the answers of many users can be had natively by root only")
    return case.status(case.command([str(c) for c in command], ids={}, timeout=120), 0)


def same_lines(case, want, got):
    if "FAILED" in want:
        raise Failed("natively:\n" + "\n".join(x for x in want.splitlines() if "FAILED" in x))
    want, got = want.splitlines(), got.splitlines()
    case.true(f"{len(want)} lines natively", len(want) > 50)
    differ = [f"- {w}\n+ {g}" for w, g in zip(want, got) if w != g]
    if differ or len(want) != len(got):
        raise Failed(f"{len(differ)} of {len(want)} lines differ ({len(got)} in the guest):\n" + "\n".join(differ[:20]))
    case.note(f"{len(want)} answers")


def native_directory(case):
    """Of root's, outside of what sticky or set-gid directories would do to it."""
    path = case.directory()
    os.chown(path, 0, 0)
    return path


def add_matrix(part):
    def function(case):
        program = case.ctx.program("ids/matrix")
        want = native(case, program, part, native_directory(case))
        got = case.status(case.shell(f"mkdir /tmp/m && {program} {part} /tmp/m", timeout=300), 0)
        same_lines(case, want.out, got.out)
    function.__name__ = "matrix_" + part
    harness.add("ids", "matrix-" + part, function, users=ONE_ID, policies=POLICIES, programs=["ids/matrix"])


for name in ("files", "dirs", "owners"):
    add_matrix(name)


@test("ids", users=ONE_ID, policies=POLICIES, programs=["ids/creds"])
def what_calls_make_of_ids(case):
    program = case.ctx.program("ids/creds")
    same_lines(case, native(case, program).out, case.status(case.run(program, timeout=300), 0).out)


@test("ids", users=ONE_ID, policies=POLICIES, programs=["ids/others"])
def one_user_and_another(case):
    program = case.ctx.program("ids/others")
    want = native(case, program, native_directory(case))
    got = case.status(case.shell(f"mkdir /tmp/m && {program} /tmp/m", timeout=120), 0)
    same_lines(case, want.out, got.out)


# -- a root of the user's own ------------------------------------------------

TOOLS = ("sh chown chmod ls stat id touch mkdir ln cat rm mkfifo setpriv dpkg dpkg-query dpkg-deb dpkg-split tar diff cmp find sort head "
         "su env sleep true mv cp sync rmdir ldconfig start-stop-daemon install mknod readlink capsh").split()


def libraries(program):
    done = subprocess.run(["ldd", program], capture_output=True, text=True)
    return [w for line in done.stdout.splitlines() for w in line.split() if w.startswith("/")]


def copy(case, root, path):
    to = root + path
    if os.path.exists(to):
        return
    os.makedirs(os.path.dirname(to), exist_ok=True)
    shutil.copy(os.path.realpath(path), to)
    for library in libraries(path):
        copy(case, root, library)


def small_root(case):
    """The host's tools and libraries, as files of the user; accounts of the guest's own."""
    root = case.directory()
    for d in ("proc", "sys", "dev", "tmp", "run", "root", "etc", "usr/bin", "usr/sbin", "home/alice", "home/bob",
              "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/log", "srv"):
        os.makedirs(os.path.join(root, d))
    for tool in TOOLS:
        found = shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if found:
            copy(case, root, "/usr/bin/" + tool if os.path.exists("/usr/bin/" + tool) else found)
    for link, to in (("bin", "usr/bin"), ("sbin", "usr/sbin")):
        if not os.path.lexists(os.path.join(root, link)):
            os.symlink(to, os.path.join(root, link))
    for name in ("lib", "lib64"):
        if os.path.isdir(os.path.join(root, name)) and not os.path.exists(os.path.join(root, "usr", name)):
            os.symlink("../" + name, os.path.join(root, "usr", name))
    files = {
        "etc/passwd": "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"
                      "bob:x:1001:1001::/home/bob:/bin/sh\n",
        "etc/group": "root:x:0:\nalice:x:1000:\nbob:x:1001:\nshadow:x:42:\nstaff:x:50:alice\n",
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\n",
        "var/lib/dpkg/status": "", "var/lib/dpkg/available": "",
    }
    for path, text in files.items():
        with open(os.path.join(root, path), "w") as f:
            f.write(text)
    if os.getuid() == 0:
        subprocess.run(["chown", "-hR", f"{case.user.uid}:{case.user.gid}", root], check=True)
    return root


def inside(case, root, script, status=0, **kw):
    r = case.run("/bin/sh", "-c", "set -e\n" + script, options=["-r", root], timeout=120,
                 env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, **kw)
    return case.status(r, status)


MAKE_ONE_OF_EACH = """
mkdir /srv/k; cd /srv/k
touch a; chown 1000:2000 a; chmod 4755 a
touch b; chown 0:42 b; chmod 2755 b
ln -s x l; chown -h 1001:1001 l
mkfifo p; chown 1002 p
mkdir d; chown 1000:50 d; chmod 2770 d
setpriv --reuid 1000 --regid 1000 --init-groups touch d/of-alice
chmod 1777 /srv/k
"""
LIST = "cd /srv/k; stat -c '%n %u:%g %a' a b l p d d/of-alice"
WANT = ["a 1000:2000 4755", "b 0:42 2755", "l 1001:1001 777", "p 1002:0 644", "d 1000:50 2770",
        "d/of-alice 1000:50 644"]


@test("ids", users=ONE_ID, policies=POLICIES)
def owners_stay_over_a_restart(case):
    root = small_root(case)
    case.equal("first", inside(case, root, MAKE_ONE_OF_EACH + LIST).out.splitlines(), WANT)
    case.equal("again", inside(case, root, LIST).out.splitlines(), WANT)
    # What the host has is the user's, and no set-id program of its.
    for name in ("a", "b", "l", "p"):
        st = os.lstat(os.path.join(root, "srv/k", name))
        case.equal(name, (st.st_uid, st.st_mode & 0o6000), (case.user.uid, 0))


@test("ids", users=ONE_ID, policies=POLICIES)
def owners_stay_over_kill_9(case):
    root = small_root(case)
    p = case.start("/bin/sh", "-c", MAKE_ONE_OF_EACH + "echo made; exec sleep 1000", options=["-r", root],
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    case.equal("the guest", p.stdout.readline(), b"made\n")
    for pid in harness.descendants(p.pid):
        fields = harness.stat_fields(pid)
        if fields and fields[2] == "weir-kernel":
            os.kill(pid, signal.SIGKILL)
    os.kill(p.pid, signal.SIGKILL)
    p.wait(20)
    deadline = time.monotonic() + 20
    while True:	# its lock on the list goes with its last process
        r = case.run("/bin/sh", "-c", LIST, options=["-r", root], env={"PATH": "/usr/bin:/bin"})
        if r.out.splitlines() == WANT or time.monotonic() > deadline:
            break
    case.equal("afterwards", r.out.splitlines(), WANT)


@test("ids", users=ONE_ID, policies=POLICIES)
def dpkg_installs_odd_owners(case):
    """A package with set-id files, and owners that the host does not have."""
    need("dpkg-deb")
    root = small_root(case)
    r = inside(case, root, """
mkdir -p /srv/pkg/DEBIAN /srv/pkg/opt/odd
cd /srv/pkg
echo '#!/bin/sh' >opt/odd/suid; echo data >opt/odd/data; ln -s data opt/odd/link
chown 1000:50 opt/odd/suid; chmod 4755 opt/odd/suid
chown 1001:42 opt/odd/data; chmod 640 opt/odd/data
chown -h 4000:4000 opt/odd/link
chown 65534:1000 opt/odd; chmod 2775 opt/odd
printf 'Package: odd\\nVersion: 1\\nArchitecture: all\\nMaintainer: t <t@example.org>\\nDescription: odd owners\\n' \
    >DEBIAN/control
cd /; dpkg-deb --build /srv/pkg /srv/odd.deb >/dev/null
dpkg -i /srv/odd.deb >/dev/null
cd /opt/odd; stat -c '%n %u:%g %a' . suid data link
dpkg -s odd | head -2
""")
    case.equal("owners", r.out.splitlines(),
               [". 65534:1000 2775", "suid 1000:50 4755", "data 1001:42 640", "link 4000:4000 777",
                "Package: odd", "Status: install ok installed"])


@test("ids", users=ONE_ID, policies=POLICIES)
def tar_takes_owners_along(case):
    root = small_root(case)
    r = inside(case, root, MAKE_ONE_OF_EACH + """
mkdir /srv/t; cd /srv; tar -cf - k | tar -C t -xpf -; cd /srv/t/k; stat -c '%n %u:%g %a' a b l p d d/of-alice
cp -a /srv/k/a /srv/c; stat -c '%u:%g' /srv/c
setpriv --reuid 1001 --regid 1001 --clear-groups cp -a /srv/k/a /tmp/c; stat -c '%u:%g' /tmp/c
""")
    case.equal("owners", r.out.splitlines(), WANT + ["1000:2000", "1001:1001"])


@test("ids", users=ONE_ID, policies=POLICIES)
def proc_and_ps_know_the_user(case):
    r = case.status(case.shell(
        "setpriv --reuid 1234 --regid 5678 --groups 9,10 sh -c '"
        "grep -E \"^(Uid|Gid|Groups|CapEff):\" /proc/self/status; stat -c %u:%g /proc/self /proc/$$; "
        "cat /proc/self/environ >/dev/null && echo own; ps -o uid= -p $$; cat /proc/1/environ 2>&1 | tail -1'"), 0)
    case.equal("lines", [x.split() for x in r.out.splitlines()],
               [["Uid:"] + ["1234"] * 4, ["Gid:"] + ["5678"] * 4, ["Groups:", "9", "10"], ["CapEff:", "0" * 16],
                ["0:0"], ["1234:5678"], ["own"], ["1234"],
                ["cat:", "/proc/1/environ:", "Permission", "denied"]])


@test("ids", users=ONE_ID, policies=POLICIES)
def capabilities_are_true(case):
    """Root has what the policy keeps, and no more; capsh and getpcaps read it."""
    for options, has in (((), True), (("--set", "caps.drop=sys_chroot"), False)):
        r = case.status(case.run("capsh", "--has-p=cap_sys_chroot", options=options), 0 if has else 1)
        case.status(r, 0 if has else 1)
        r = case.run("chroot", "/", "true", options=options)
        case.equal("chroot works", r.status == 0, has)
    r = case.status(case.shell("setpriv --reuid 7 --inh-caps +chown --ambient-caps +chown capsh --print"), 0)
    case.matches("ambient", r.out, r"Current: cap_chown=eip")


@test("ids", users=ONE_ID, policies=POLICIES)
def a_user_of_the_guest_is_not_its_root(case):
    r = case.shell("setpriv --reuid 1000 --clear-groups sh -c 'mount -t tmpfs t /mnt; hostname x; mknod /tmp/n c 1 3; "
                   "chroot / true; cat /etc/shadow; echo x >/etc/x; kill -9 1; echo still here' 2>&1")
    case.status(r, 0)
    case.equal("the end", r.out.splitlines()[-1], "still here")
    for what in ("mount: ", "hostname: ", "mknod: ", "chroot: ", "cat: ", "cannot create", "kill: "):
        case.true(f"{what!r} is refused: {r.out}", what in r.out)


@test("ids", users=("root",), policies=POLICIES)
def root_has_better(case):
    """Of root, whose one id would be the host's root, weir does not take it."""
    case.one_line_error(case.run("true"), 2, r"id-lab(\.policy)?:\d+: ids: uid = single, for root, .* write auto")


@test("ids", users=("single", "user"), policies=("id-lab", "hosting"))
def explain_says_which_and_why(case):
    r = case.status(case.weir("policy", "explain", "-p", case.policy, "ids"), 0)
    want = "single, with users: single id: the policy says so" if case.policy == "id-lab" else \
        "single, root only: single id" if case.user.kind == "single" else "range: "
    case.true(f"{want!r} in {r.out!r}", want in r.out)
    case.true("the line that decides", "policy:" in r.out)
    case.status(case.weir("policy", "explain", "-p", case.policy, "--json", "ids"), 0)
    log = case.run("true", options=["-v"]).err
    case.true("the boot log says it too", ("kept by the guest kernel" in log) == (case.policy == "id-lab"))


@test("ids", users=("user",), policies=("hosting",))
def a_range_stops_nothing(case):
    """With a range no call of ids or files traps."""
    r = case.status(case.weir("policy", "explain", "-p", "hosting", "stat"), 0)
    case.matches("stat", r.out, r"(?m)^\s+pass")
    r = case.status(case.weir("policy", "explain", "-p", "hosting", "setuid"), 0)
    case.matches("setuid", r.out, r"(?m)^\s+pass")


POSTGRES = """
mkdir /tmp/pg /tmp/run; chown 2101:2101 /tmp/pg /tmp/run; cd /tmp
P="setpriv --reuid 2101 --regid 2101 --clear-groups"
Q="setpriv --reuid 2102 --regid 2102 --clear-groups"
printf 'root:x:0:0::/:/bin/sh\\npg:x:2101:2101::/tmp:/bin/sh\\nweb:x:2102:2102::/tmp:/bin/sh\\n' >/tmp/passwd
mount --bind /tmp/passwd /etc/passwd
$P BIN/initdb -D /tmp/pg -A peer >/dev/null
$P BIN/pg_ctl -D /tmp/pg -o "-k /tmp/run -c listen_addresses=" -l /tmp/pg/log -w start >/dev/null
stat -c '%u:%g %a' /tmp/pg /tmp/run/.s.PGSQL.5432
$P BIN/psql -h /tmp/run -d postgres -Atc 'select current_user'
$Q BIN/psql -h /tmp/run -U pg -d postgres -Atc 'select 1' 2>&1 | grep -o 'Peer authentication failed'
$P BIN/psql -h /tmp/run -d postgres -Atc 'create role web login'
$Q BIN/psql -h /tmp/run -d postgres -Atc 'select current_user'
BIN/postgres -D /tmp/pg 2>&1 | grep -o 'is not permitted'
$P BIN/pg_ctl -D /tmp/pg -m fast stop >/dev/null
"""


@test("ids", users=("single",), policies=POLICIES)
def postgresql_tells_users_apart(case):
    """A server with a user of its own, and clients that it knows by SO_PEERCRED."""
    need("initdb", "setpriv")
    # Where it really is: some of its programs are elsewhere, too, as Debian's wrappers.
    script = POSTGRES.replace("BIN", os.path.dirname(os.path.realpath(shutil.which("initdb", path=harness.PATH))))
    r = case.status(case.run("/bin/bash", "-c", "set -e\n" + script, timeout=120), 0)
    case.equal("lines", r.out.splitlines(), ["2101:2101 700", "2101:2101 777", "pg", "Peer authentication failed",
                                             "CREATE ROLE", "web", "is not permitted"])

# SPDX-License-Identifier: Apache-2.0
"""Suite "real": a Debian directory doing what Debian systems do

The directory is made once by debootstrap, as root, with what the tests need
(PACKAGES), and kept below /var/tmp (or $WEIR_TEST_ROOT). Guests use it under a
throw-away overlay. The rootless tests use a copy of it whose owners are
shifted to the user's subordinate ids.
"""

import concurrent.futures
import importlib.util
import os
import re
import shutil
import subprocess
import threading

import harness
from disk_guests import Guests
from harness import Failed, Skipped, need, test

ROOT = os.environ.get("WEIR_TEST_ROOT", "/var/tmp/weir-test-root")
SUITE = "bookworm"
PACKAGES = ("bash gcc make libc6-dev git python3 libpython3.11-testsuite sqlite3 redis-server redis-tools nginx-light "
            "wrk sudo busybox procps iproute2 iputils-ping psmisc strace libcap2-bin ca-certificates less "
            "bsdextrautils tzdata locales").split()

spec = importlib.util.spec_from_file_location("commands_for_real", os.path.join(harness.TESTS, "guest/commands.py"))
commands = importlib.util.module_from_spec(spec)
registered = harness.TESTS_BY_SUITE.pop("commands", None)
spec.loader.exec_module(commands)
harness.TESTS_BY_SUITE.pop("commands")
if registered is not None:
    harness.TESTS_BY_SUITE["commands"] = registered

making = threading.Lock()


def mirror():
    """The archive that this machine's apt uses."""
    for top, _, files in os.walk("/etc/apt"):
        for name in sorted(files):
            if name.endswith((".list", ".sources")):
                with open(os.path.join(top, name)) as f:
                    found = re.search(r"(?m)^(?:deb\s+(?:\[.*\]\s*)?|URIs:\s*)(\S+/debian/?)\s", f.read())
                if found:
                    return found.group(1)
    return "http://deb.debian.org/debian"


def make_root():
    stamp = ROOT + ".packages"
    if os.path.isdir(ROOT) and os.path.exists(stamp):
        with open(stamp) as f:
            if set(PACKAGES) <= set(f.read().split()):
                return
    if os.getuid() != 0:
        raise Skipped(f"{ROOT} must be made by root once")
    need("debootstrap")
    shutil.rmtree(ROOT, ignore_errors=True)
    cmd = ["debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES), SUITE, ROOT, mirror()]
    done = subprocess.run(cmd, capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(ROOT, ignore_errors=True)
        raise Skipped("debootstrap failed: " + harness.tail(done.stdout + done.stderr, 3).strip().replace("\n", "; "))
    # debootstrap leaves this to the installer.
    with open(os.path.join(ROOT, "etc/hosts"), "w") as f:
        f.write("127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
    with open(stamp, "w") as f:
        f.write(" ".join(PACKAGES) + "\n")


def make_shifted_root(case):
    """A copy of ROOT that belongs to the user's ids: root of the copy is the user itself."""
    copy = f"{ROOT}-{case.user.name}"
    stamp = copy + ".packages"
    if os.path.exists(stamp) and os.path.getmtime(stamp) >= os.path.getmtime(ROOT + ".packages"):
        return copy
    if os.getuid() != 0:
        raise Skipped(f"{copy} must be made by root once")
    tmp = copy + ".new"
    for path in (copy, tmp):
        subprocess.run(["rm", "-rf", path], check=True)
    os.mkdir(tmp, 0o755)
    os.chown(tmp, case.user.uid, case.user.gid)
    pack = subprocess.Popen(["tar", "-C", ROOT, "--exclude=./dev/*", "-cf", "-", "."], stdout=subprocess.PIPE)
    unpack = case.command(["unshare", "--map-root-user", "--map-auto", "tar", "-C", tmp, "-xpf", "-"],
                          stdin=pack.stdout, timeout=600)
    pack.stdout.close()
    if pack.wait() or unpack.status:
        raise Skipped(f"{ROOT} cannot be copied for {case.user.name}: {unpack.err.strip()}")
    os.rename(tmp, copy)
    with open(stamp, "w") as f:
        f.write("\n")
    return copy


def debian(case):
    with making:
        make_root()
        return ROOT if case.user.uid == 0 else make_shifted_root(case)


def debian_image(case):
    """A disk over an image of ROOT, which all guests share."""
    image = ROOT + ".img"
    with making:
        make_root()
        if not os.path.exists(image) or os.path.getmtime(image) < os.path.getmtime(ROOT + ".packages"):
            if os.getuid() != 0:
                raise Skipped(f"{image} must be made by root once")
            need("mke2fs")
            r = subprocess.run([case.ctx.weir, "disk", "create", "--force", "--from", ROOT, "--size", "3G", image],
                               capture_output=True, text=True)
            if r.returncode:
                raise Failed(f"{image}: {r.stderr}")
    cow = os.path.join(case.directory(), "cow")
    case.status(case.weir("disk", "create", "--backing", image, cow), 0)
    return cow


def options(case):
    return ["-r", debian(case), "--set", "guest.writable=overlay"]


def bash(case, script, status=0, timeout=300):
    r = case.run("/bin/bash", "-c", "set -e\n" + script, options=options(case), timeout=timeout,
                 env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
    return case.status(r, status)


# -- a system --------------------------------------------------------------


@test("real")
def the_usual_questions(case):
    r = bash(case, "id -u; cat /etc/debian_version; ps ax | wc -l; df / | wc -l; mount | wc -l; free | wc -l; "
                   "ip -o addr show lo; uptime -p; dmesg | grep -c weir; ls -la / >/dev/null; top -b -n 1 | head -1")
    case.equal("uid", r.out.splitlines()[0], "0")
    case.matches("lo", r.out, r"127\.0\.0\.1/8")


@test("real", users=("root", "user"))
def debian_on_a_disk(case):
    """It boots from a file, apt-get installs from a local repository, and all is there in the next guest."""
    guests = Guests(case)
    disks = {"0.cow": debian_image(case)}
    with open(os.path.join(harness.TESTS, "real/repository.sh")) as f:
        r = guests.run(disks, f.read(), options=("-r", "disk:0"))
    case.matches("configured", r.out, "configured")
    r = guests.run(disks, "cat /etc/debian_version; weir-test; dpkg -s weir-test | grep Status; dpkg --audit\n"
                   "stat -c '%U %G' /usr/bin/weir-test /var/cache/apt/archives/partial; getent group weirgroup | cut -d: -f1\n"
                   "bash -lc 'echo $BASH_VERSION' | wc -l", options=("-r", "disk:0"))
    case.equal("the next guest", r.out.splitlines()[1:], ["hello from the package", "Status: install ok installed", "root root",
                                                          "_apt root", "weirgroup", "1"])


@test("real")
def dpkg_installs_and_removes(case):
    r = bash(case, """
mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin /tmp/p/etc
printf 'Package: weir-test\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: T <t@example.org>\\nDescription: test\\n' >/tmp/p/DEBIAN/control
printf '#!/bin/sh\\nset -e\\ngroupadd -f weirgroup\\necho configured\\n' >/tmp/p/DEBIAN/postinst
printf '#!/bin/sh\\necho hello from the package\\n' >/tmp/p/usr/bin/weir-test
chmod 755 /tmp/p/DEBIAN/postinst /tmp/p/usr/bin/weir-test
dpkg-deb --root-owner-group --build /tmp/p /tmp/p.deb
dpkg -i /tmp/p.deb
weir-test
dpkg -s weir-test | grep Status
stat -c '%U %G' /usr/bin/weir-test
dpkg -r weir-test
! test -e /usr/bin/weir-test
dpkg --audit
apt-get install -y --no-install-recommends /tmp/p.deb
apt-get --version | head -1
""")
    case.matches("configured", r.out, "configured")
    case.matches("run", r.out, "hello from the package")
    case.matches("installed", r.out, "install ok installed")
    case.matches("owned by root", r.out, "(?m)^root root$")


@test("real")
def apt_get_update_fails_in_order(case):
    r = bash(case, "apt-get update -o Acquire::Retries=0 || echo failed with $?; apt-cache policy bash | head -2")
    case.matches("apt-cache works", r.out, "(?m)^bash:")


@test("real")
def gcc_and_make(case):
    r = bash(case, r"""
mkdir -p /tmp/b && cd /tmp/b
for i in 1 2 3 4 5 6; do printf 'int f%d(int x) { return x * %d; }\n' $i $i >f$i.c; done
cat >main.c <<'X'
#include <stdio.h>
#include <pthread.h>
int f1(int), f2(int), f3(int), f4(int), f5(int), f6(int);
static void *t(void *a) { return (void *)(long)f6((long)a); }
int main(void) { pthread_t p; void *r; pthread_create(&p, 0, t, (void *)7); pthread_join(p, &r);
printf("%d %ld\n", f1(1)+f2(1)+f3(1)+f4(1)+f5(1), (long)r); return 0; }
X
printf 'OBJ = main.o f1.o f2.o f3.o f4.o f5.o f6.o\nprog: $(OBJ)\n\tcc -o $@ $(OBJ) -pthread\nclean:\n\trm -f prog $(OBJ)\n' >Makefile
make -j2 CFLAGS=-O2 >/dev/null
./prog
touch f3.c; make | grep -c cc
make clean >/dev/null; ls *.o 2>/dev/null | wc -l
""")
    case.equal("output", r.out.splitlines()[0], "15 42")
    case.equal("objects after clean", r.out.splitlines()[-1], "0")


@test("real")
def git(case):
    r = bash(case, """
export HOME=/tmp GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z'
git config --global user.email t@example.org; git config --global user.name T
git init -q -b main /tmp/g && cd /tmp/g
for i in $(seq 100); do mkdir -p d$((i % 7)); echo line $i >d$((i % 7))/f$i; done
git add . && git commit -q -m first
git mv d1/f1 moved && git commit -q -a -m second
git checkout -q -b side && echo x >>moved && git commit -q -a -m third && git checkout -q main && git merge -q side
git clone -q /tmp/g /tmp/h && cd /tmp/h && git fsck --full && git status --short && git log --oneline | wc -l
git gc -q && git rev-parse HEAD
""")
    case.equal("commits", r.out.split()[0], "3")
    case.true("a commit's name", re.fullmatch(r"[0-9a-f]{40}", r.out.split()[-1]))


@test("real")
def sqlite(case):
    r = bash(case, """
cd /tmp
sqlite3 t.db 'pragma journal_mode=wal; create table t(a integer primary key, b text);'
(echo 'begin;'; for i in $(seq 5000); do echo "insert into t(b) values('row $i');"; done; echo 'commit;') | sqlite3 t.db
sqlite3 t.db 'select count(*), max(b), sum(a) from t; pragma integrity_check;'
for i in 1 2 3 4; do (for j in $(seq 20); do sqlite3 -cmd '.timeout 20000' t.db "insert into t(b) values('c$i-$j');"; done) & done; wait
sqlite3 t.db 'select count(*) from t;'
""")
    case.equal("rows", r.out.splitlines()[-3:], ["5000|row 999|12502500", "ok", "5080"])


@test("real")
def redis(case):
    r = bash(case, """
cd /tmp
redis-server --port 7777 --dir /tmp --save '' --appendonly yes --daemonize yes --pidfile /tmp/r.pid >/dev/null
for i in $(seq 100); do redis-cli -p 7777 ping >/dev/null 2>&1 && break; sleep 0.05; done
redis-benchmark -p 7777 -n 20000 -c 20 -q -t set,get,lpush | tr '\\r' '\\n' | grep 'requests per second'
redis-cli -p 7777 set key value
redis-cli -p 7777 bgrewriteaof >/dev/null; sleep 0.5
redis-cli -p 7777 get key
redis-cli -p 7777 shutdown nosave || true
sleep 0.2; pgrep redis-server | wc -l
""")
    case.equal("benchmarks", r.out.count("requests per second"), 3)
    case.equal("the key, and no server left", r.out.split()[-2:], ["value", "0"])


@test("real")
def nginx_and_wrk(case):
    r = bash(case, """
mkdir -p /tmp/n/html; echo served >/tmp/n/html/index.html; chmod -R a+rX /tmp/n
cat >/tmp/n/conf <<'X'
user www-data; worker_processes 2; pid /tmp/n/pid; error_log /tmp/n/error.log;
events { worker_connections 256; }
http { access_log off; server { listen 127.0.0.1:8080; listen [::1]:8080; root /tmp/n/html; } }
X
nginx -c /tmp/n/conf
ps -o user= -C nginx | sort | uniq -c
python3 - <<'X'
import urllib.request
print(urllib.request.urlopen('http://127.0.0.1:8080/').read().decode().strip())
print(urllib.request.urlopen('http://[::1]:8080/').read().decode().strip())
X
wrk -t2 -c20 -d2s http://127.0.0.1:8080/
nginx -c /tmp/n/conf -s reload; sleep 0.3
nginx -c /tmp/n/conf -s quit; sleep 0.5; pgrep nginx | wc -l
cat /tmp/n/error.log
""")
    case.equal("pages", r.out.count("served\n"), 2)
    case.matches("two workers of www-data", r.out, r"2 www-data")
    done = re.search(r"(\d+) requests in", r.out)
    case.true("requests were answered", done and int(done.group(1)) > 100)
    case.true("all of them well", "Non-2xx" not in r.out and "Socket errors" not in r.out)


@test("real")
def su_and_sudo(case):
    r = bash(case, """
useradd -m -s /bin/bash tester
echo tester:secret | chpasswd
su - tester -c 'id -un; id -u; pwd; echo $HOME'
su tester -c 'touch /etc/no' && echo wrote || echo refused
echo 'tester ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/tester; chmod 440 /etc/sudoers.d/tester
su tester -c 'sudo -n id -u; sudo -n hostname by-sudo; hostname'
su tester -c 'sudo -n -u nobody id -un'
# Debian's ping carries cap_net_raw, which a guest has not: a copy has no capabilities.
cp /usr/bin/ping /usr/local/bin/ping
su tester -c 'ping -c 1 -W 2 127.0.0.1 | grep -c "1 received"'
su tester -c 'hostname evil 2>&1; mount -t tmpfs none /mnt 2>&1; kill -0 1 2>&1; true'
hostname
passwd -S tester | cut -d' ' -f2
""")
    lines = r.out.splitlines()
    case.equal("su", lines[:4], ["tester", "1000", "/home/tester", "/home/tester"])
    case.true("not root's files", "refused" in lines and "wrote" not in lines)
    case.equal("sudo", lines[5:8], ["0", "by-sudo", "nobody"])
    case.equal("ping as a user", lines[8], "1")
    case.true("nothing for tester alone", r.out.count("ermission") + r.out.count("ermitted") + r.out.count("must be") >= 3)
    case.equal("the name is sudo's", lines[-2], "by-sudo")


@test("real")
def bash_with_job_control(case):
    t = commands.Terminal(case, case.run_argv(["/bin/bash", "--norc", "-i"], options(case)))
    t.expect(r"\$ |# ")
    t.type("cat | tr a-z A-Z | cat\n")
    t.until_runs("tr")
    t.type("pipeline\n\x04")
    t.expect("PIPELINE")
    t.type("sleep 50 & sleep 60\n")
    t.until_runs("sleep")
    t.type("\x1a")
    t.expect("Stopped")
    t.type("jobs; bg %2; kill %1; kill %2; wait; echo all-$((40+2))\n")
    t.expect("all-42")
    t.type("TERM=vt100 less /etc/passwd\n")
    t.expect("root:")
    t.type("q")
    t.type("tty; stty size; exit 7\n")
    t.expect("30 100")
    case.equal("status", t.p.wait(20), 7)
    case.true("the terminal is as before", t.settings_restored())


@test("real")
def tools_that_look_closely(case):
    r = bash(case, """
cd /tmp
strace -f -o trace sh -c 'hostname traced; cat /proc/self/status >/dev/null'
grep -c sethostname trace
setcap cap_net_bind_service=ep /usr/bin/tail && getcap /usr/bin/tail
tar czf t.tgz /etc /usr/share/doc 2>/dev/null; tar tzf t.tgz | wc -l
truncate -s 1M sparse; cp --sparse=always sparse s2; du -k s2 | cut -f1
ln -s /etc/passwd l; cp -a l l2; readlink l2
flock /tmp/lock -c 'echo locked'
timeout 1 sleep 10 || echo timed out $?
script -qec 'tty' /dev/null | grep -c pts
mkfifo f; (echo through >f &) ; cat f
chown nobody:nogroup sparse; stat -c %U sparse
find / -xdev -type f -name passwd 2>/dev/null | wc -l
date -s '2001-01-01' 2>&1 | tail -1
mount -t tmpfs none /mnt && df /mnt | tail -1 | cut -d' ' -f1 && umount /mnt
swapon /tmp/sparse 2>&1 | tail -1
ulimit -n 100; ulimit -n
nice -n 5 nice
taskset -c 0 nproc 2>/dev/null || nproc
unshare -m true && echo own mounts
unshare -U true 2>&1 | grep -c -i permitted
""")
    case.matches("strace", r.out, r"(?m)^[1-9]\d*$")
    case.matches("file capabilities", r.out, r"cap_net_bind_service")
    case.matches("timeout", r.out, r"timed out 124")


# -- busybox init ------------------------------------------------------------

INITTAB = "::sysinit:/etc/boot\n::shutdown:/etc/down\n::ctrlaltdel:/bin/busybox reboot\n"
BOOT = """#!/bin/sh
n=$(cat /count); n=$((n + 1)); echo $n >/count
echo "boot $n of $(hostname), pid 1 is $(cat /proc/1/comm)"
test $n -lt 3 && exec /bin/busybox reboot
exec /bin/busybox {last}
"""


def busybox_root(case, last):
    source = os.path.join(debian(case), "bin/busybox")
    kind = subprocess.run(["file", "-L", source], capture_output=True, text=True).stdout
    if "dynamically" in kind:
        source = "/bin/busybox"
        if not os.path.exists(source):
            raise Skipped("no static busybox")
    root = case.directory()
    for d in ("bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "run", "root"):
        os.mkdir(os.path.join(root, d))
    shutil.copy(source, os.path.join(root, "bin/busybox"))
    for name in ("bin/sh", "sbin/init", "bin/cat", "bin/hostname", "bin/echo"):
        os.symlink("/bin/busybox", os.path.join(root, name))
    case.write(os.path.join(root, "etc/inittab"), INITTAB)
    case.write(os.path.join(root, "etc/boot"), BOOT.format(last=last), 0o755)
    case.write(os.path.join(root, "etc/down"), "#!/bin/sh\necho going down\n", 0o755)
    case.write(os.path.join(root, "count"), "0\n")
    if os.getuid() == 0:
        for top, dirs, files in os.walk(root):
            for name in dirs + files:
                os.chown(os.path.join(top, name), case.user.uid, case.user.gid, follow_symlinks=False)
    return root


def boots_three_times(last):
    def run(case):
        root = busybox_root(case, last)
        r = case.command([case.ctx.weir, "run", "-p", case.policy, "-n", case.ctx.unique(), "-r", root], timeout=60)
        case.status(r, 0)
        with open(os.path.join(root, "count")) as f:
            case.equal("boots", f.read(), "3\n")
        # Before the first reboot init may not have had its console: the last boot's word is enough.
        case.matches("the console", r.out + r.err, r"boot 3 of")

    return run


for how in ("poweroff", "halt"):
    harness.add("real", f"busybox-init-reboots-and-then-{how}", boots_three_times(how), policies=("hosting", "all-trap"))


@test("real")
def busybox_init_is_stopped(case):
    """weir stop lets init run its shutdown actions."""
    root = busybox_root(case, "true")
    case.write(os.path.join(root, "count"), "5\n")
    case.write(os.path.join(root, "etc/boot"), "#!/bin/sh\necho booted >/booted\n", 0o755)
    case.write(os.path.join(root, "etc/down"), "#!/bin/sh\necho down >/went-down\n", 0o755)
    name = case.ctx.unique()
    case.detached(name=name, options=["-r", root])
    case.true("it boots", harness.wait_until(lambda: os.path.exists(os.path.join(root, "booted"))))
    case.status(case.weir("stop", name, timeout=40), 0)
    case.true("its shutdown action ran", os.path.exists(os.path.join(root, "went-down")))


# -- python's own tests --------------------------------------------------------


def natively(case, script, timeout):
    """The same in the same directory, in fresh namespaces without weir."""
    root = debian(case)
    setup = (f"mount --rbind /proc {root}/proc; mount --rbind /dev {root}/dev; mount --rbind /sys {root}/sys; "
             f"mount -t tmpfs none {root}/tmp; mount -t tmpfs none {root}/run; mount -t tmpfs none {root}/root; "
             f"exec chroot {root} /bin/bash -c \"$0\"")
    return case.reference("/bin/sh", "-c", setup, script, timeout=timeout)


def bad_tests(text):
    """Names of tests that failed or erred in the output of unittest -v."""
    found = set(re.findall(r"(?m)^(?:FAIL|ERROR): (\S+ \(\S+\))", text))
    if re.search(r"(?m)^test \S+ crashed|Fatal Python error|^Timeout", text):
        found.add("the whole run")
    return found


# What fails in a guest and may, and why.
ALLOWED = [
    (r"UDPLITE", "of the internet protocols a guest has TCP, UDP and ping (policy base)"),
]

PYTHON = ("cd /tmp && export HOME=/tmp PYTHONDONTWRITEBYTECODE=1 TERM=dumb LC_ALL=C.UTF-8 && "
          "exec python3 -m test -v --timeout 120 {0} </dev/null 2>&1")
# On some hosts the VSOCK tests wait for ever, natively too; guests have no VSOCK.
IGNORED = {"test_socket": "-i '*VSOCK*'"}


def python_tests(module):
    def run(case):
        script = PYTHON.format(f"{IGNORED.get(module, '')} {module}")
        chosen = options(case)
        # Side by side: most of what they do is wait.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            native = pool.submit(natively, case, script, 900)
            guest = case.run("/bin/bash", "-c", script, options=chosen, timeout=900)
            native = native.result()
        ran = re.search(r"Ran (\d+) tests?", guest.out)
        if not ran or not re.search(r"Ran (\d+) tests?", native.out):
            raise Failed("the tests did not run\n" + guest.text() + native.text())
        new = bad_tests(guest.out) - bad_tests(native.out)
        for pattern, reason in ALLOWED:
            known = {name for name in new if re.search(pattern, name)}
            new -= known
            if known:
                case.note(f"{len(known)} tests of {pattern} fail: {reason}")
        if new:
            details = "\n".join(find_trace(guest.out, name) for name in sorted(new))
            raise Failed(f"fail in the guest and not natively: {', '.join(sorted(new))}\n{details}")
        count = int(re.search(r"Ran (\d+) tests?", native.out).group(1))
        case.equal("tests that ran", int(ran.group(1)), count)
        for name in sorted(bad_tests(native.out)):
            case.note(f"fails natively too: {name}")

    return run


def find_trace(text, name):
    start = max(text.find("FAIL: " + name), text.find("ERROR: " + name))
    return harness.tail(text[start:start + 3000].split("\n======")[0], 25)


# Tests that measure how long things took want the machine to themselves.
TIMED = ("test_subprocess", "test_threading", "test_signal", "test_socket")
for module in ("test_os", "test_posix", *TIMED):
    harness.add("real", module.replace("_", "-"), python_tests(module), serial=module in TIMED)

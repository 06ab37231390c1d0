# SPDX-License-Identifier: Apache-2.0
"""Suite "commands": the management console, by the stock uml_mconsole and by datagrams of our own

What a command did is looked up where the weir command that it stands for would show it.
"""

import json
import os
import re
import signal
import struct
import subprocess

import harness
from disk_guests import named
from harness import Failed, need, test

ALL = ("root", "user", "single")
MAGIC = 0xcafebabe

# Sends datagrams given in hexadecimal, one after the other, from an abstract address as
# uml_mconsole's is; prints [error, datagrams, text] of each answer.
CLIENT = r"""
import json, os, socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0mconsole-test-%d" % os.getpid())
s.settimeout(100)
for datagram in sys.argv[2:]:
    s.sendto(bytes.fromhex(datagram), sys.argv[1])
    print("sent", file=sys.stderr, flush=True)
    text, pieces, more, err = "", 0, 1, None
    while more:
        d = s.recv(4096)
        pieces += 1
        if len(d) != 524:
            more, text = 0, d.decode(errors="surrogateescape")
            continue
        err, more, n = struct.unpack("III", d[:12])
        assert 0 < n <= 512 and d[12 + n - 1:].count(0) == 524 - 12 - n + 1, d
        text += d[12:12 + n - 1].decode(errors="surrogateescape")
    print(json.dumps([err, pieces, text]), flush=True)
"""


def request(command, magic=MAGIC, version=2, length=None):
    data = command.encode() if isinstance(command, str) else command
    return struct.pack("III512s", magic, version, len(data) if length is None else length, data)


def socket_of(case, name):
    return os.path.join(case.user.state_dir(), name, "mconsole")


def client(case, name, *datagrams):
    return ["python3", "-c", CLIENT, socket_of(case, name), *(d.hex() for d in datagrams)]


def ask(case, name, *datagrams):
    r = case.status(case.command(client(case, name, *datagrams), timeout=110), 0)
    return [tuple(json.loads(line)) for line in r.out.splitlines()]


def asked(case, name, *datagrams):
    """The same in the background, once it was sent."""
    p = subprocess.Popen(client(case, name, *datagrams), env=case.user.env(), cwd="/", text=True,
                         start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, **case.user.popen_ids())
    case.cleanups.append(lambda: harness.stop_popen(p))
    case.equal("the request", p.stderr.readline(), "sent\n")
    return p


def answer_of(p):
    out, err = p.communicate(timeout=110)
    lines = out.splitlines()
    if len(lines) != 1:
        raise Failed(f"no answer: {err}")
    return tuple(json.loads(lines[0]))


class Stock:
    """uml_mconsole, one command at a time."""

    def __init__(self, case, name):
        need("uml_mconsole")
        self.case, self.path = case, socket_of(case, name)

    def run(self, command):
        return self.case.command(["uml_mconsole", self.path, *command.split()], timeout=110)

    def ok(self, command):
        r = self.case.status(self.run(command), 0)
        self.case.true(f"{command}: OK", r.out.startswith("OK "))
        return r.out[3:].rstrip("\n")

    def err(self, command, pattern):
        r = self.run(command)
        self.case.true(f"{command}: a status that is not 0", r.status)
        self.case.matches(command, r.out, "^ERR .*(" + pattern + ")")


@test("commands", users=ALL)
def mconsole_stock_client(case):
    name = case.detached("/bin/sleep", "1000")
    stock = Stock(case, name)
    case.equal("version", stock.ok("version"),
               case.status(case.weir("exec", name, "--", "uname", "-snrvm"), 0).out.rstrip("\n"))
    case.matches("help", stock.ok("help"), r"(?m)^config ubdN")
    case.equal("log", stock.ok("log a line of ours").strip(), "OK")
    case.matches("weir log", case.weir("log", name).out, r"(?m)mconsole: a line of ours$")
    stock.ok("log Zeile für uns")
    case.matches("weir log", case.weir("log", name).out, r"(?m)mconsole: Zeile für uns$")
    case.equal("proc", stock.ok("proc 1/comm"), case.weir("exec", name, "--", "cat", "/proc/1/comm").out.rstrip("\n"))
    stock.err("proc nonsense", "No such file")
    stock.err("proc ../etc/passwd", "below")
    stock.err("stack 99999", "no process")
    stock.err("sysrq z", "b reboots")
    stock.err("config eth0=tap", "mem and ubdN")
    stock.err("nonsense", "Unknown command")
    stock.err("config mem=+64M", "no limit")
    stock.err(f"config ubd0={case.write(os.path.join(case.directory(), 'i'), 'x' * 512)}", "hotplug")
    case.true("config mem is the host's", int(stock.ok("config mem")) > 1 << 20)


@test("commands", users=ALL)
def mconsole_stop_and_go(case):
    name = case.detached("/bin/sleep", "1000")
    stock = Stock(case, name)
    stock.err("go", "Not stopped")
    case.equal("stop", stock.ok("stop"), "stopped")
    case.equal("state", case.stats(name)["guest"]["state"], "paused")
    stock.err("proc uptime", "paused")
    stock.ok("version")
    stock.ok("go")
    case.equal("state", case.stats(name)["guest"]["state"], "running")


@test("commands", users=ALL)
def mconsole_ends(case):
    name = case.detached("/bin/sleep", "1000")
    stock = Stock(case, name)
    kernel = case.kernel_pid(name)

    def another():
        r = case.weir("stats", "--json", name)
        return r.status == 0 and json.loads(r.out)["guest"]["kernel_pid"] != kernel

    stock.ok("reboot")
    case.true("another kernel of the same name", harness.wait_until(another, 30))
    stock.ok("version")
    stock.ok("halt")
    case.true("it is gone", harness.wait_until(lambda: not os.path.exists(os.path.dirname(stock.path)), 30))


@test("commands", users=ALL)
def mconsole_cad_is_sigint(case):
    p = case.start("/bin/sh", "-c", "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.1; done")
    case.equal("it runs", p.stdout.readline(), b"ready\n")
    Stock(case, p.guest).ok("cad")
    case.equal("then", p.communicate(timeout=30)[0], b"interrupted\n")
    case.equal("status", p.returncode, 3)


@test("commands", users=("root",))
def mconsole_memory(case):
    name = case.detached("/bin/sleep", "1000", options=["--set", "guest.memory=256M"])
    stock = Stock(case, name)
    case.equal("config mem", stock.ok("config mem"), str(256 << 20))
    stock.ok("config mem=+16M")
    case.equal("config mem", stock.ok("config mem"), str(272 << 20))
    stock.ok("config mem=-32M")
    case.equal("weir mem", case.stats(name)["memory"]["limit_bytes"], 240 << 20)
    stock.err("config mem=-500M", "floor")
    case.true("it is not below", int(stock.ok("config mem")) >= case.stats(name)["memory"]["floor_bytes"])
    case.status(case.weir("exec", name, "--", "/bin/true"), 0)
    stock.err("config mem=500M", r"mem=\+SIZE")


@test("commands", users=("root",))
def mconsole_disks(case):
    name = case.detached("/bin/sleep", "1000", options=["--set", "guest.hotplug=yes"])
    stock = Stock(case, name)
    d = case.directory()
    image, cow = case.write(os.path.join(d, "image"), "i" * 4096), os.path.join(d, "cow")
    case.status(case.weir("disk", "create", "--backing", image, cow), 0)
    stock.err("config ubd1", "no disk 1")
    stock.ok(f"config ubd1={cow},{image}")
    stock.ok(f"config ubd2r={case.write(os.path.join(d, 'other'), 'o' * 512)}")
    case.equal("config ubd1", stock.ok("config ubd1"), f"{cow},{image}")
    case.equal("in the guest", case.weir("exec", name, "--", "sh", "-c", "head -c 1 /dev/ubd1; cat /sys/block/ubd2/ro").out,
               "i1\n")
    stock.err(f"config ubd1={image}", "in use|already")
    stock.err(f"config ubd3={d}/none", "no such file")
    holder = subprocess.Popen([case.ctx.weir, "exec", name, "--", "sh", "-c", "exec 3</dev/ubd1; echo; read x"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=case.user.env())
    case.cleanups.append(lambda: harness.stop_popen(holder))
    holder.stdout.readline()
    stock.err("remove ubd1", "in use")
    holder.communicate(b"\n", timeout=30)
    stock.ok("remove ubd1")
    stock.ok("remove ubd2")
    stock.err("remove ubd1", "no disk 1")
    case.equal("weir stats", case.stats(name)["disks"], [])


@test("commands", users=("root", "user"))
def mconsole_datagrams(case):
    name = case.detached("/bin/sleep", "1000")
    old = "ERR Version 0 mconsole clients are not supported by this driver"
    version = ask(case, name, request("version"))[0]
    case.equal("version", (version[0], version[1], version[2][:6]), (0, 1, "Linux "))
    bad = [(request("version", magic=1), None, old), (b"version", None, old), (b"", None, old),
           (request("version") + b"x", None, old), (b"x" * 5000, None, old),
           (request("halt", version=1), 1, "version 2"), (request("halt", version=3), 1, "version 2"),
           (request("halt", length=512), 1, "too large"), (request("halt", length=0xffffffff), 1, "too large"),
           (request("halt")[:14], 1, "shorter"), (request(b"ha\0lt"), 1, "NUL"),
           (request("x" * 511), 1, "Unknown"), (request(b"\xff\xfe\x01"), 1, "Unknown"), (request(""), 1, "Unknown"),
           (request(b"log \xff\xfe\x1b[2J"), 0, "")]
    for (datagram, err, pattern), got in zip(bad, ask(case, name, *(b[0] for b in bad))):
        case.equal(f"{datagram[:24]!r}: error", got[0], err)
        case.matches(f"{datagram[:24]!r}", got[2], pattern)
    # More than a datagram; only the last says that it went well.
    long = ask(case, name, request("sysrq t"))[0]
    case.true("several datagrams", long[1] > 1 and long[0] == 0)
    case.equal("whole", long[2].splitlines()[0].split()[0], stats_text(case, name).split()[0])
    # What no client reads, and more than the queue holds; then everything is as it was.
    script = ("import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
              "s.bind('\\0mconsole-burst-' + sys.argv[1].replace('/', '-')[-60:])\ns.setblocking(False)\nsent = 0\n"
              "for i in range(3000):\n try:\n  s.sendto(bytes.fromhex(sys.argv[2 + i % 3]), sys.argv[1]); sent += 1\n"
              " except BlockingIOError:\n  pass\nprint(sent)")
    burst = case.command(["python3", "-c", script, socket_of(case, name), request("help").hex(), b"junk".hex(),
                          request("sysrq t").hex()])
    case.true("some of a burst arrived", int(case.status(burst, 0).out) > 3)
    case.equal("version again", ask(case, name, request("version"))[0], version)


@test("commands", users=ALL)
def mconsole_version_of_any_hostname(case):
    name = case.detached("/bin/sleep", "1000")
    case.status(case.weir("exec", name, "--", "python3", "-c", r"import socket; socket.sethostname(b'a\xff\x1bb')"), 0)
    err, pieces, text = ask(case, name, request("version"))[0]
    case.equal("version", (err, pieces, text.split()[:2]), (0, 1, ["Linux", "a\udcff?b"]))


@test("commands", users=("root", "user"))
def mconsole_answers_have_no_escapes(case):
    """What the guest says goes to its owner's terminal."""
    name = case.detached("/bin/sh", "-c", "sleep 1000; :", "a\x1b[2Jb\x7f\r\tä\n")
    err, pieces, text = ask(case, name, request("proc 1/cmdline"))[0]
    case.equal("proc", (err, pieces), (0, 1))
    case.true(f"the arguments: {text!r}", text.endswith(" a?[2Jb??\tä\n "))


def stats_text(case, name):
    return case.status(case.weir("stats", name), 0).out


@test("commands", users=("user",))
def mconsole_is_the_owners(case):
    """Root may open the file of a user, but is told that the guest is not its own."""
    if os.getuid() != 0:
        raise harness.Skipped("needs root to ask as somebody else")
    name = case.detached("/bin/sleep", "1000")
    path = socket_of(case, name)
    case.equal("its mode", os.stat(path).st_mode & 0o7777, 0o600)
    case.equal("its owner", os.stat(path).st_uid, case.user.uid)
    r = case.status(case.command(client(case, name, request("halt")), ids={}), 0)
    err, pieces, text = json.loads(r.out)
    case.equal("root's halt", (err, pieces), (1, 1))
    case.matches("the answer", text, "only the owner")
    case.equal("state", case.stats(name)["guest"]["state"], "running")


@test("commands", users=("root",))
def mconsole_slow_answers_block_nobody(case):
    """More requests than weir has workers, all of which take for ever: the guest, its output
    and weir's other commands go on; whoever asked hears of it when the guest ends."""
    p = case.start("/bin/sh", "-c", "printf '%s\\n' '#!/bin/sh' 'echo >/tmp/begun.$$' 'exec sleep 1000' "
                   ">/usr/local/sbin/cat; chmod 755 /usr/local/sbin/cat; echo ready; while read x; do echo $x; done",
                   stdin=subprocess.PIPE)
    case.equal("it runs", p.stdout.readline(), b"ready\n")
    waiting = [asked(case, p.guest, request("proc uptime")) for _ in range(6)]

    def begun():
        return case.weir("exec", p.guest, "--", "/bin/sh", "-c", "set -- /tmp/begun.*; echo $#").out == "4\n"

    case.true("all workers are at it", harness.wait_until(begun, 30))
    p.stdin.write(b"line\n")
    p.stdin.flush()
    case.equal("the guest's output", p.stdout.readline(), b"line\n")
    case.true("nobody has an answer yet", all(w.poll() is None for w in waiting))
    os.kill(named(p, "weir-mconsole")[0], signal.SIGKILL)
    case.true("who asked a worker that is killed is told", harness.wait_until(lambda: any(w.poll() is not None for w in waiting), 30))
    case.status(case.weir("kill", p.guest), 0)
    p.wait(30)
    for w in waiting:
        case.true("an error", answer_of(w)[0] != 0)


@test("commands", users=("root",))
def mconsole_leaves_nothing(case):
    name = case.detached("/bin/sleep", "1000")
    kernel = case.kernel_pid(name)
    monitor, _, _ = harness.stat_fields(kernel)
    path = socket_of(case, name)
    case.true("the socket is there", os.path.exists(path))
    os.kill(monitor, signal.SIGKILL)
    case.true("the guest ends with its monitor",
              harness.wait_until(lambda: not re.search(rf"(?m)^{name} ", case.weir("list").out), 20))
    case.true("nothing is left", harness.wait_until(lambda: not os.path.exists(os.path.dirname(path)), 20))

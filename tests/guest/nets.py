# SPDX-License-Identifier: Apache-2.0
"""Suite "commands": network devices, addresses and routes of the policy, [net.N]

What a guest's own programs see of them, and that guest root changes nothing of it.
"""

import json
import os

from harness import Skipped, test

PYTHON = "/usr/bin/python3"

POLICY = """[policy]
name = nets
inherit = hosting
[net.0]
mac = 02:00:00:00:07:02
address = 10.7.0.2/24 fd07::2/64
gateway = 10.7.0.1 fd07::1
routes = 10.8.0.0/16 10.7.0.9, fd08::/32 fd07::9
[net.2]
address = 10.9.0.2/30
"""

# Inside: what is there, as the sockets have it. Which address a datagram would go from
# is the kernel's own look into its table of routes.
LOOK = r"""
import json, os, socket, struct, fcntl
def source(to):
    try:
        s = socket.socket(socket.AF_INET6 if ":" in to else socket.AF_INET, socket.SOCK_DGRAM)
        s.connect((to, 9))
        return s.getsockname()[0]
    except OSError as e:
        return os.strerror(e.errno)
def bound(a):
    try:
        s = socket.socket(socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM)
        s.bind((a, 0))
        s.listen(1)
        c = socket.socket(s.family)
        c.connect(s.getsockname())
        return s.accept()[1][0]
    except OSError as e:
        return os.strerror(e.errno)
def change(request, fmt, *args):
    try:
        fcntl.ioctl(socket.socket(), request, struct.pack("16s" + fmt, b"eth0", *args).ljust(40, b"\0"))
        return "done"
    except OSError as e:
        return os.strerror(e.errno)
def add_address():
    body = struct.pack("=BBBBI", socket.AF_INET, 24, 0, 0, 2)
    for kind in (1, 2):
        body += struct.pack("=HH4s", 8, kind, socket.inet_aton("10.3.3.3"))
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    s.send(struct.pack("=IHHII", 16 + len(body), 20, 0x605, 1, 0) + body)
    return os.strerror(-struct.unpack_from("=i", s.recv(4096), 16)[0])
def files(name, column=0):
    with open("/proc/self/net/" + name) as f:
        return sorted({line.split()[column].rstrip(":") for line in f if line.split()[column][:3] == "eth"})
print(json.dumps({
    "names": sorted(os.listdir("/sys/class/net")), "mac": open("/sys/class/net/eth0/address").read().strip(),
    "dev": files("dev"), "route": files("route"), "if_inet6": files("if_inet6", 5),
    "source": {to: source(to) for to in ("10.7.0.77", "10.8.1.1", "10.9.0.1", "192.0.2.1", "fd07::77", "fd08::1", "2001:db8::1")},
    "bound": {a: bound(a) for a in ("10.7.0.2", "10.9.0.2", "fd07::2", "10.7.0.3")},
    "SIOCSIFADDR": change(0x8916, "HH4s8x", socket.AF_INET, 0, socket.inet_aton("10.3.3.3")),
    "SIOCSIFFLAGS": change(0x8914, "H", 0), "RTM_NEWADDR": add_address()}))
"""


def need_veth(case):
    """A host without them refuses by name, and that is tested by suite faults."""
    if not os.path.exists(PYTHON):
        raise Skipped(f"no {PYTHON}")
    r = case.run("/bin/true", options=["--set", "net.0.backend=none"])
    if "no veth devices" in r.err:
        raise Skipped(r.err.strip())


@test("commands", users=("root", "user", "single"))
def devices_of_the_policy(case):
    need_veth(case)
    path = case.policy_file(POLICY)
    r = case.status(case.weir("run", "-n", case.ctx.unique(), "-p", path, "--", PYTHON, "-c", LOOK), 0)
    got = json.loads(r.out)
    if not os.path.exists("/proc/net/if_inet6"):
        raise Skipped("the host has no IPv6")
    eth = ["eth0", "eth2"]
    case.equal("devices in /sys", [n for n in got["names"] if n[:3] == "eth"], eth)
    case.equal("devices in /proc/net", (got["dev"], got["route"]), (eth, eth))
    case.true("IPv6 addresses of eth0", "eth0" in got["if_inet6"])
    case.equal("mac", got["mac"], "02:00:00:00:07:02")
    case.equal("the address that datagrams go from", got["source"], {
        "10.7.0.77": "10.7.0.2", "10.8.1.1": "10.7.0.2", "10.9.0.1": "10.9.0.2", "192.0.2.1": "10.7.0.2",
        "fd07::77": "fd07::2", "fd08::1": "fd07::2", "2001:db8::1": "fd07::2"})
    case.equal("sockets on the addresses", got["bound"], {
        "10.7.0.2": "10.7.0.2", "10.9.0.2": "10.9.0.2", "fd07::2": "fd07::2",
        "10.7.0.3": "Cannot assign requested address"})
    for what in ("SIOCSIFADDR", "SIOCSIFFLAGS", "RTM_NEWADDR"):
        case.equal("guest root's " + what, got[what], "Operation not permitted")


@test("commands", users=("root", "user"))
def devices_in_stats(case):
    need_veth(case)
    name = case.detached("/bin/sleep", "1000", options=["--set", "net.1.address=10.7.0.2/24"])
    send = "import socket; s = socket.socket(2, 2); " \
           "s.setsockopt(1, 6, 1); [s.sendto(b'x', ('10.7.0.255', 9)) for i in range(50)]"
    case.status(case.weir("exec", name, "--", PYTHON, "-c", send), 0)
    nets = case.stats(name)["nets"]
    case.equal("devices", [(n["name"], n["backend"], n["rx_frames"], n["drops"]) for n in nets], [("eth1", "none", 0, 0)])
    case.true(f"{nets[0]['tx_frames']} frames sent", nets[0]["tx_frames"] >= 50)


@test("commands", users=("root",))
def devices_where_sysctls_are_read_only(case):
    """As in many containers: what is joined to nothing keeps its IPv6, and the guest runs."""
    need_veth(case)
    script = "mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys; exec \"$@\""
    # In a user namespace of its own it would be refused a /proc, for the one that it sees is covered.
    options = ["--set", "namespaces.user=host", "--set", "net.0.address=10.7.0.2/24"]
    r = case.command(["unshare", "-m", "--propagation", "private", "sh", "-ec", script, "sh",
                      *case.run_argv(["/bin/ls", "/sys/class/net"], options)])
    case.equal("devices", case.status(r, 0).out.split(), ["eth0", "lo"])


@test("commands", users=("user",))
def veth_is_roots(case):
    need_veth(case)
    r = case.run("/bin/echo", "started", options=["--set", "net.0.backend=veth:wnt0"])
    case.one_line_error(r, 125, r"wnt0: only root .*backend = none")


# A host whose network is thrown away: weir run, and the other end of the guest's device.
HOST = r"""
import ctypes, fcntl, os, socket, struct, subprocess, sys
weir, python, name = sys.argv[1:4]
if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):
    sys.exit("unshare: " + os.strerror(ctypes.get_errno()))
GUEST = r'''
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.2)
print("up", flush=True)
input()
while True:
    try:
        s.sendto(b"hello", ("10.9.0.1", 7))
        print(s.recv(100).decode(), flush=True)
        break
    except OSError:
        pass
'''
def ask(request, fmt, *args):
    fcntl.ioctl(socket.socket(), request, struct.pack("16s" + fmt, b"wnt0", *args).ljust(40, b"\0"))
for turn in range(3):
    p = subprocess.Popen([weir, "run", "-n", name, "--set", "net.0.backend=veth:wnt0", "--set", "net.0.address=10.9.0.2/24",
                          "--", python, "-c", GUEST], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if p.stdout.readline() != "up\n":
        sys.exit(f"turn {turn}: the guest does not run")
    ask(0x8916, "HH4s8x", socket.AF_INET, 0, socket.inet_aton("10.9.0.1"))
    ask(0x891c, "HH4s8x", socket.AF_INET, 0, socket.inet_aton("255.255.255.0"))
    ask(0x8914, "H", 1)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("10.9.0.1", 7))
    p.stdin.write("\n")
    p.stdin.flush()
    data, peer = s.recvfrom(100)
    s.sendto(data + b" from the host to " + peer[0].encode(), peer)
    s.close()
    print(p.stdout.readline().strip())
    if turn == 1:
        subprocess.run([weir, "kill", name])
    p.stdin.close()
    p.wait(30)
"""


@test("commands", users=("root",))
def veth_to_the_host(case):
    """Frames both ways; a name is free again when the guest has ended, however it ended."""
    need_veth(case)
    r = case.command([PYTHON, "-c", HOST, case.ctx.weir, PYTHON, case.ctx.unique()])
    case.equal(f"what the guest heard\n{r.text()}", r.out.splitlines(), ["hello from the host to 10.9.0.2"] * 3)


@test("commands", users=("root",))
def veth_of_a_name_that_is_taken(case):
    need_veth(case)
    r = case.run("/bin/echo", "started", options=["--set", "net.0.backend=veth:lo"])
    case.one_line_error(r, 125, r"lo: the host has a device of this name; write another one")

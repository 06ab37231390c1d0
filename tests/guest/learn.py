# SPDX-License-Identifier: Apache-2.0
"""Suite "commands": weir policy learn and test, as weir(1) promises them

What a command did is allowed to it again, what it did not do is not; what the
policy refuses is never learnt; runs in any order merge to the same text.
"""

import json
import os
import re
import shutil

from harness import Skipped, test

SOCKETS = """
import errno, socket, threading
a, b = socket.socketpair()
a.send(b"pair")
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("127.0.0.1", 0))
server.listen()
def call():
    with socket.create_connection(server.getsockname()) as s:
        s.send(b"hello")
t = threading.Thread(target=call)
t.start()
print(b.recv(4), server.accept()[0].recv(5))
t.join()
try:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
except OSError as e:
    print(errno.errorcode[e.errno])
"""


def learn(case, path, *command, options=(), **kw):
    r = case.weir("policy", "learn", "-n", case.ctx.unique(), "-o", path, *options, "--", *command, **kw)
    return case.status(r, 0)


def read(path):
    with open(path) as f:
        return f.read()


def again(case, path, command, out, **kw):
    """A run under what was learnt does the same, and nothing of it is refused but what was then."""
    r = case.status(case.weir("run", "-p", path, "-n", case.ctx.unique(), "--", *command, **kw), 0)
    case.equal(f"output of {command[0]} under what was learnt", r.out, out)
    case.status(case.weir("policy", "check", path), 0)


def learn_and_run(case, *command, **kw):
    path = os.path.join(case.directory(), "learnt.policy")
    r = learn(case, path, *command, **kw)
    again(case, path, command, r.out, **kw)
    return path, r


def tool(name):
    path = shutil.which(name, path="/usr/bin:/bin")
    if not path:
        raise Skipped(f"no {name}")
    return path


@test("commands", policies=(None,), users=("root", "user"))
def learn_a_shell(case):
    path, _ = learn_and_run(case, "/bin/sh", "-c", "echo hi; ls / | head -1; (exit 3); test $? = 3")
    text = read(path)
    case.matches("the policy", text, r"(?m)^inherit = base$")
    case.matches("the policy", text, r"(?m)^@known = default$")
    case.true("nothing that was not called", not re.search(r"(?m)^(socket|mount|bpf|ptrace) =", text))
    case.matches("clone by its flags", text, r"(?m)^clone = pass if flags == 0x")


@test("commands", policies=(None,))
def learn_sockets(case):
    python = tool("python3")
    path, r = learn_and_run(case, python, "-c", SOCKETS)
    text = read(path)
    case.matches("families", text, r"(?m)^socket = pass if domain == AF_INET and")
    case.true("AF_PACKET is not allowed", not re.search(r"(?m)^socket = pass.*AF_PACKET", text))
    case.matches("said on standard error", r.err, r"wanted and refused: socket with domain 0x11")
    case.matches("and in the policy", text, r"## Wanted and refused ##(.|\n)*socket = deny EAFNOSUPPORT if domain == AF_PACKET")
    r = case.weir("policy", "explain", "-p", path, "--json", "socket", "AF_INET6", "SOCK_STREAM", "0")
    case.equal("a family that was not seen", json.loads(r.out)["decided"]["lane"], "deny")


@test("commands", policies=(None,))
def learn_a_compiler(case):
    gcc = tool("gcc")
    d = case.directory()
    case.write(os.path.join(d, "a.c"), "int main(void) { return 0; }\n")
    learn_and_run(case, gcc, "-o", "/tmp/a.out", os.path.join(d, "a.c"))


@test("commands", policies=(None,))
def learn_keeps_traps_and_refusals(case):
    script = "mount -t tmpfs none /mnt; hostname learnt; mkfifo /tmp/f; unshare -U true; unshare -m true; true"
    path, _ = learn_and_run(case, "/bin/sh", "-c", script)
    text = read(path)
    case.matches("mount", text, r"(?m)^mount = trap$")
    case.matches("sethostname", text, r"(?m)^sethostname = trap$")
    case.matches("a mount namespace", text, r"(?m)^unshare = pass if flags == CLONE_NEWNS$")
    case.matches("a user namespace", text, r"(?m)^unshare = deny EPERM if flags == CLONE_NEWUSER$")


@test("commands", policies=(None,))
def learn_merges_in_any_order(case):
    d = case.directory()
    files = [os.path.join(d, f"{i}.policy") for i in range(6)]
    learn(case, files[0], "/bin/sh", "-c", "ls / >/dev/null")
    learn(case, files[1], "/bin/sh", "-c", "mkdir /tmp/d; unshare -U true; mkfifo /tmp/f")
    merge = ["--merge", files[0], "--merge", files[1]]
    learn(case, files[2], "/bin/true", options=merge)
    learn(case, files[3], "/bin/true", options=["--merge", files[1], "--merge", files[0]])
    learn(case, files[4], "/bin/true", options=["--merge", files[2]])
    case.equal("merged the other way round", read(files[3]), read(files[2]))
    case.equal("merged again", read(files[4]), read(files[2]))
    for line in read(files[0]).splitlines() + read(files[1]).splitlines():
        call = re.match(r"(\w+) = (pass|deny EPERM if)", line)
        if call:
            case.matches("the merged policy", read(files[2]), rf"(?m)^{call[1]} = ")
    again(case, files[2], ["/bin/sh", "-c", "ls / >/dev/null; mkdir /tmp/d; mkfifo /tmp/f"], "")
    learn(case, files[2], "/bin/true", options=["--merge", files[2]])
    case.equal("onto itself", read(files[2]), read(files[4]))


@test("commands", policies=(None,))
def learn_to_standard_output(case):
    r = case.weir("policy", "learn", "-n", case.ctx.unique(), "--", "/bin/sh", "-c", "echo words; exit 7")
    case.status(r, 7)
    case.matches("the policy alone", r.out, r"\A# Written by weir policy learn")
    case.true("what the command wrote is elsewhere", "words\n" in r.err and "words" not in r.out)
    r = case.weir("policy", "learn", "-n", case.ctx.unique(), "--json", "--", "/bin/sh", "-c", "unshare -U true; exit 3")
    j = json.loads(case.status(r, 3).out)
    case.equal("keys", sorted(j), ["lost", "policy", "refused", "status"])
    case.equal("status", j["status"], 3)
    refused = [x for x in j["refused"] if x["call"] == "unshare"]
    case.equal("refused", [x["arguments"] for x in refused], [{"flags": 0x10000000}])


@test("commands", policies=(None,))
def learn_says_what_is_wrong(case):
    d = case.directory()
    hand = case.write(os.path.join(d, "hand.policy"),
                      "[policy]\ninherit = base\n[syscalls]\n@known = default\nexecve = pass\nexit = pass\n"
                      "exit_group = pass\nrt_sigreturn = pass\nioctl = pass if cmd != TIOCSTI\n")
    case.one_line_error(case.weir("policy", "learn"), 2, "usage")
    case.one_line_error(case.weir("policy", "learn", "--merge", hand, "--", "true"), 2, "hand.policy:9: not a line that")
    case.one_line_error(case.weir("policy", "learn", "-p", "no-such", "--", "true"), 2, "no policy")
    case.one_line_error(case.weir("policy", "learn", "-n", case.ctx.unique(), "-o", "/nonexistent/x", "--", "/bin/true"),
                        1, "cannot write /nonexistent/x")
    out = os.path.join(d, "out.policy")
    case.status(case.weir("policy", "learn", "-n", case.ctx.unique(), "-r", "/nonexistent", "-o", out, "--", "true"), 125)
    case.true("nothing is written for what did not start", not os.path.exists(out))
    case.equal("nothing is left beside", os.listdir(d), ["hand.policy"])


@test("commands", policies=(None,), users=("root", "user"))
def test_names_what_was_refused(case):
    script = "unshare -U true; echo status $?"
    native = case.status(case.weir("run", "-p", "hosting", "-n", case.ctx.unique(), "--", "/bin/sh", "-c", script), 0)
    r = case.weir("policy", "test", "-n", case.ctx.unique(), "-o", "/dev/null", "hosting", "--", "/bin/sh", "-c", script)
    case.status(r, 1)
    case.equal("the program sees the same", (r.out, r.err), (native.out, native.err))
    r = case.weir("policy", "test", "-n", case.ctx.unique(), "--json", "hosting", "--", "/bin/sh", "-c", script)
    j = json.loads(case.status(r, 1).out)
    case.equal("keys", sorted(j), ["lost", "policy", "refused", "status"])
    row = next(x for x in j["refused"] if x["call"] == "unshare")
    case.equal("the row", [row[k] for k in ("lane", "errno", "count", "task", "text")],
               ["deny", "EPERM", 1, "unshare", "unshare = deny EPERM"])
    case.matches("the line", row["rule"], r"base\.policy:\d+$")
    r = case.weir("policy", "test", "-n", case.ctx.unique(), "hosting", "--", "/bin/sh", "-c", "true")
    case.status(r, 0)
    case.matches("nothing refused", r.out, "hosting: no call was refused")


@test("commands", policies=(None,))
def test_of_a_call_that_kills(case):
    policy = case.policy_file("[policy]\ninherit = hosting\n[syscalls]\nsync = kill\numask = deny EIO\n")
    r = case.weir("policy", "test", "-n", case.ctx.unique(), "--json", policy, "--", "/bin/sh", "-c",
                  "sync && echo alive; echo status $?; umask 022")
    j = json.loads(case.status(r, 1).out)
    rows = {x["call"]: x for x in j["refused"]}
    case.equal("kill", [rows["sync"][k] for k in ("lane", "rule", "task")], ["kill", policy + ":4", "sync"])
    case.true("the task ends in the call", "alive" not in r.err and "status 137" in r.err)
    case.equal("deny", [rows["umask"][k] for k in ("lane", "errno", "rule")], ["deny", "EIO", policy + ":5"])


@test("commands", policies=(None,))
def test_of_what_cannot_run(case):
    r = case.weir("policy", "test", "-n", case.ctx.unique(), "hosting", "--", "/no/such/program")
    case.equal("status", r.status, 127)
    case.one_line_error(case.weir("policy", "test", "hosting"), 2, "usage")
    case.one_line_error(case.weir("policy", "test", "no-such", "--", "true"), 2, "no policy")


@test("commands", policies=("hosting",))
def an_imported_profile_runs(case):
    d = case.directory()
    profile, policy = os.path.join(d, "p.json"), os.path.join(d, "p.policy")
    case.status(case.weir("policy", "export", "-o", profile, "hosting"), 0)
    case.status(case.weir("policy", "import", "-o", policy, profile), 0)
    r = case.weir("run", "-p", policy, "-n", case.ctx.unique(), "--", "/bin/sh", "-c", "echo ran; hostname x 2>&1")
    case.matches("what passes, and what the guest kernel did", r.out, r"ran\nhostname: .*(not permitted|root)")

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py WEIR [--update] - what weir says to good and to broken policies

A file's name is its test's name. "# run: ARGS" lines in it are commands of
weir, FILE standing for the file; without any, it is checked. What is printed
and the exit status are compared with NAME.expect beside it; --update writes
that file. A broken policy must be refused with one line and status 2.
Then the faults that no file in a repository can have. Output: TAP.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
WEIR = os.path.abspath(sys.argv[1])
UPDATE = "--update" in sys.argv
count = failed = 0


# Root that may not read what its files' modes forbid.
NO_CAPABILITIES = ("setpriv", "--inh-caps", "-all", "--bounding-set", "-all")


def weir(args, cwd, prefix=()):
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "XDG_CONFIG_HOME": "/nonexistent"}
    for name in os.environ:
        if name.endswith("SAN_OPTIONS"):
            env[name] = os.environ[name]
    p = subprocess.run([*prefix, WEIR] + args, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    return p.stdout.decode("utf-8", "replace"), p.returncode


def result(ok, name, why=""):
    global count, failed
    count += 1
    failed += not ok
    print(f"{'ok' if ok else 'not ok'} {count} {name}")
    for line in [] if ok else why.splitlines():
        print(f"# {line}")


def run_file(folder, name, work):
    path = os.path.join(folder, name + ".policy")
    with open(os.path.join(HERE, path), "rb") as f:
        lines = re.findall(rb"^# run: (.*)$", f.read(), re.M)
    commands = [line.decode().split() for line in lines] or [["policy", "check", name + ".policy"]]
    got = ""
    for args in commands:
        args = [f"./{name}.policy" if a == "FILE" else a for a in args]
        out, status = weir(args, os.path.join(work, folder))
        # The lines of shipped policies move.
        got += re.sub(r"\b(?<!/)(base|hosting|jail|build|time-lab|id-lab|all-trap)\.policy:\d+", r"\1.policy:N", out)
        got += f"exit {status}\n"
    expect = os.path.join(HERE, folder, name + ".expect")
    if UPDATE:
        with open(expect, "w") as f:
            f.write(got)
    try:
        with open(expect) as f:
            wanted = f.read()
    except FileNotFoundError:
        wanted = "(no .expect file)\n"
    ok, why = got == wanted, f"expected:\n{wanted}got:\n{got}"
    if folder == "invalid" and (got.count("\n") != 2 or not got.endswith("exit 2\n")):
        ok, why = False, f"not one line and status 2:\n{got}"
    result(ok, f"{folder}/{name}", why)


def refused(name, path, wanted, cwd, prefix=()):
    out, status = weir(["policy", "check", path], cwd, prefix)
    ok = status == 2 and out.count("\n") == 1 and wanted in out
    result(ok, name, f"wanted '{wanted}', status 2; got status {status}:\n{out}")


GOOD = "[policy]\ninherit = base\n"


def write(path, text=GOOD, mode=0o644):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def run_faults(d):
    """Files as the file system can present them."""
    write(f"{d}/good.policy")
    out, status = weir(["policy", "check", "./good.policy"], d)
    result(status == 0, "file/good", out)
    write(f"{d}/group.policy", mode=0o664)
    refused("file/group-writable", "./group.policy", "group-writable", d)
    write(f"{d}/world.policy", mode=0o646)
    refused("file/world-writable", "./world.policy", "world-writable", d)
    os.symlink("good.policy", f"{d}/link.policy")
    refused("file/symlink", "./link.policy", "symbolic link", d)
    os.symlink("/nonexistent", f"{d}/dangling.policy")
    refused("file/dangling-symlink", "./dangling.policy", "symbolic link", d)
    os.mkdir(f"{d}/dir.policy")
    refused("file/directory", "./dir.policy", "is a directory", d)
    os.mkfifo(f"{d}/fifo.policy")
    refused("file/fifo", "./fifo.policy", "not a regular file", d)
    refused("file/device", "/dev/null", "not a regular file", d)
    refused("file/missing", "./missing.policy", "no such file", d)
    refused("file/below-a-file", "./good.policy/x", "no such file", d)
    refused("name/missing", "hostin", "did you mean hosting", d)
    refused("name/empty", "", "no name", d)
    refused("name/dots", "..", "there is no policy", d)
    refused("name/long", "x" * 3000, "too long", d)
    write(f"{d}/big.policy", GOOD + "# " + "x" * 100 + "\n" * (10 << 20))
    refused("file/ten-megabytes", "./big.policy", "at most 1048576", d)
    write(f"{d}/full.policy", GOOD + "#\n" * ((1 << 19) - 20))
    out, status = weir(["policy", "check", "./full.policy"], d)
    result(status == 0, "file/one-megabyte-of-comments", out)
    write(f"{d}/many.policy", GOOD + "[syscalls]\n" +
          "".join(f"close = deny EBADF if fd == {i}\n" for i in range(20000)))
    refused("file/twenty-thousand-rules", "./many.policy", "more than 256 rules", d)
    for i in range(10):
        write(f"{d}/deep{i}.policy", f"[policy]\ninherit = ./deep{i + 1}.policy\n")
    write(f"{d}/deep10.policy")
    refused("file/deep-inherit", "./deep0.policy", "inherit each other", d)
    if os.geteuid() == 0:
        write(f"{d}/theirs.policy")
        os.chown(f"{d}/theirs.policy", 65534, -1)
        refused("file/not-owned", "./theirs.policy", "belongs to user 65534", d)
    else:
        result(True, "file/not-owned # SKIP needs root")
    write(f"{d}/secret.policy", mode=0)
    if os.geteuid() != 0 or shutil.which("setpriv"):
        refused("file/unreadable", "./secret.policy", "cannot be read", d, NO_CAPABILITIES if os.geteuid() == 0 else ())
    else:
        result(True, "file/unreadable # SKIP root reads everything, and setpriv is not installed")


def run_shipped(d):
    """A shown policy is a policy, and means the same."""
    for name in ["base", "hosting", "jail", "build", "time-lab", "id-lab", "all-trap"]:
        out, status = weir(["policy", "show", name], d)
        write(f"{d}/{name}-shown.policy", out)
        out, status = weir(["policy", "diff", name, f"./{name}-shown.policy"], d)
        result(status == 0 and out == "", f"show/{name}", out)
        first, _ = weir(["policy", "show", f"./{name}-shown.policy"], d)
        write(f"{d}/{name}-again.policy", first)
        second, _ = weir(["policy", "show", f"./{name}-again.policy"], d)

        def plain(text):
            return re.sub(r"^#.*\n", "", text, flags=re.M)
        result(plain(first) == plain(second), f"show/{name}-again")
        out, status = weir(["policy", "show", "--json", name], d)
        result(status == 0 and out.startswith("{"), f"show/{name}-json", out[:200])


PROFILES = ["/usr/share/containers/seccomp.json", "/etc/containers/seccomp.json"]


def run_profile(folder, name, work):
    """An OCI profile becomes a policy that checks, or is refused with one line and its JSON path."""
    out, status = weir(["policy", "import", "-o", name + ".policy", name + ".json"], os.path.join(work, folder))
    if status == 0:
        with open(os.path.join(work, folder, name + ".policy")) as f:
            # Those of shipped policies move.
            out += re.sub(r"\bbase\.policy:\d+", "base.policy:N", f.read())
        out += weir(["policy", "check", f"./{name}.policy"], os.path.join(work, folder))[0]
    out += f"exit {status}\n"
    expect = os.path.join(HERE, folder, name + ".json.expect")
    if UPDATE:
        with open(expect, "w") as f:
            f.write(out)
    try:
        with open(expect) as f:
            wanted = f.read()
    except FileNotFoundError:
        wanted = "(no .expect file)\n"
    ok, why = out == wanted, f"expected:\n{wanted}got:\n{out}"
    if folder == "invalid" and (out.count("\n") != 2 or not out.endswith("exit 2\n") or ": $" not in out):
        ok, why = False, f"not one line with a JSON path, and status 2:\n{out}"
    result(ok, f"{folder}/{name}.json", why)


def run_installed_profile(d):
    """Docker's default profile as containers-common has it, where that is installed."""
    path = next((p for p in PROFILES if os.path.exists(p)), None)
    if not path:
        result(True, "profile/containers-common # SKIP no " + PROFILES[0])
        return
    out, status = weir(["policy", "import", "-o", "docker.policy", path], d)
    result(status == 0, "profile/containers-common", out)
    out, status = weir(["policy", "check", "./docker.policy"], d)
    result(status == 0, "profile/containers-common-checks", out)
    for call, lane in (("bpf", "deny"), ("mount", "trap"), ("keyctl", "deny"), ("read", "pass"), ("openat", "pass")):
        out, status = weir(["policy", "explain", "--json", "-p", "./docker.policy", call], d)
        result(status == 0 and json.loads(out)["rules"][0]["lane"] == lane, f"profile/containers-common-{call}", out)
    out, status = weir(["policy", "export", "-o", "docker.json", "./docker.policy"], d)
    result(status == 0, "profile/containers-common-back", out)


def run_audit(d):
    """What an audit says is what the policy does."""
    write(f"{d}/open.policy", GOOD + "[syscalls]\nbpf = pass\nseccomp = trap\nprctl = trap if option == PR_SET_SECCOMP\nsocket = pass\nsocketpair = pass\n")
    out, status = weir(["policy", "check", "--audit", "--json", "./open.policy"], d)
    result(status == 0, "audit/json", out)
    a = json.loads(out)
    state = {r["subsystem"]: r["state"] for r in a["reach"]}
    result("bpf" in a["passes"] and state["bpf"] == "open", "audit/bpf-is-open")
    result(state["sockets: the crypto API"] == "open", "audit/sockets-are-open")
    result(any(c["call"] == "seccomp" and c["why"] for c in a["continues"]), "audit/continues")
    out, status = weir(["policy", "check", "--audit", "--json", "hosting"], d)
    a = json.loads(out)
    state = {r["subsystem"]: r["state"] for r in a["reach"]}
    wanted = {"bpf": "closed", "io_uring": "closed", "sockets: the crypto API": "closed", "mounting": "guarded",
              "PI-requeue futexes": "closed", "user namespaces, and all they open": "closed",
              "terminals: typing into another's input": "closed", "sockets: AF_UNIX": "open"}
    result(wanted.items() <= state.items(), "audit/hosting-reach", str(state))
    service = a["compare"][0]
    result("keyctl" in service["theirs"] and "sysinfo" in service["guarded"] and "ptrace" in service["ours"],
           "audit/system-service", str(service))
    docker = os.path.join(HERE, "valid", "entries.json")
    out, status = weir(["policy", "check", "--audit", "--json", "--profile", docker, "hosting"], d)
    theirs = json.loads(out)["compare"][1]
    result(theirs["theirs"] == ["bpf"] and "write" in theirs["ours"], "audit/profile", str(theirs))
    out, status = weir(["policy", "check", "--audit", "all-trap"], d)
    result(status == 0 and "Of those, may go on" in out and "every call in lane watch" in out, "audit/text", out)
    out, status = weir(["policy", "check", "--audit", "--profile", "/nonexistent", "hosting"], d)
    result(status == 2 and out.count("\n") == 1 and "/nonexistent" in out, "audit/no-such-profile", out)


def run_continues(d):
    """A call that goes on without a reason fails the build."""
    tool = os.path.join(HERE, "..", "..", "tools", "continue-list")
    good = 'long sys_brk(struct kernel *k, struct call *c)\n{\n\treturn call_continue(c, "it is harmless");\n}\n'
    for name, text, ok in (("annotated", good, True),
                           ("no-words", good.replace('"it is harmless"', "why"), False),
                           ("by-hand", good.replace('return call_continue(c, "it is harmless")',
                                                    "c->reply = REPLY_CONTINUE"), False)):
        os.makedirs(f"{d}/{name}")
        write(f"{d}/{name}/sys_x.c", text)
        p = subprocess.run([sys.executable, tool, "--src", f"{d}/{name}"], capture_output=True, text=True)
        result((p.returncode == 0) == ok, f"continues/{name}", p.stdout + p.stderr)


def main():
    with tempfile.TemporaryDirectory() as work:
        for folder in ["valid", "invalid"]:
            os.mkdir(os.path.join(work, folder))
            names = sorted(n for n in os.listdir(os.path.join(HERE, folder)) if n.endswith(".policy"))
            for n in names:
                # Whatever the checkout's umask was.
                to = os.path.join(work, folder, n)
                shutil.copyfile(os.path.join(HERE, folder, n), to)
                os.chmod(to, 0o644)
            for n in names:
                run_file(folder, n[:-len(".policy")], work)
            profiles = sorted(n for n in os.listdir(os.path.join(HERE, folder)) if n.endswith(".json"))
            for n in profiles:
                shutil.copyfile(os.path.join(HERE, folder, n), os.path.join(work, folder, n))
                run_profile(folder, n[:-len(".json")], work)
        os.mkdir(f"{work}/faults")
        run_faults(f"{work}/faults")
        run_shipped(f"{work}/faults")
        run_installed_profile(f"{work}/faults")
        run_audit(f"{work}/faults")
        run_continues(f"{work}/faults")
    print(f"1..{count}")
    sys.exit(1 if failed else 0)


main()

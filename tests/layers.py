#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""layers.py - does every file of src/ use only what lies below it?

The rules are those of doc/architecture.md. Also: errno is read in hostcall.c only,
every system call of syscalls.def has a test that names it, and every file begins
with its licence and its own name. Output: TAP.
"""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SRC = os.path.join(TOP, "src")

# Headers that everybody may include, and that use nothing else of ours.
COMMON = {"config.h", "kernel/util.h", "kernel/bigendian.h", "kernel/cleanup.h", "kernel/log.h", "passthrough/hostcall.h",
	  "passthrough/inet.h"}
# Folder: what it may include beside COMMON and itself.
BELOW = {
    "passthrough": set(),
    "ns": set(),
    "mmu": set(),
    "drivers": {"kernel/event.h", "kernel/machine/text.h", "mmu/", "passthrough/fuse.h"},
    "kernel": {"passthrough/", "ns/", "mmu/"},
    "": {"passthrough/", "ns/", "mmu/", "kernel/", "drivers/disk.h", "drivers/cow.h", "drivers/ubd.h"},
}
# File: what it may include although its folder may not.
ALSO = {
    "kernel/boot.c": {"drivers/"},		# starts the drivers
    "kernel/guest_disks.c": {"drivers/disks.h"},	# opens and serves them
    "kernel/machine/block_files.c": {"drivers/disks.h"},	# shows them
    "kernel/guest_mount.c": {"drivers/blockfs.h", "drivers/disks.h"},	# gives it to who serves it
    "kernel/mount_server.c": {"drivers/disks.h"},	# sees by them whether it hangs
    "kernel/stats.c": {"drivers/disks.h"},	# asks for theirs
    "kernel/control.c": {"drivers/console.h", "drivers/disk.h"},	# hands the console to weir console
    "kernel/kernel.c": {"drivers/console.h"},	# and to the monitor; was a part of boot.c
}
# Headers of one folder's insides: nobody else's, but for weir policy, which shows them.
INSIDE = re.compile(r"(passthrough|drivers)/(\w+/)?\w+_impl\.h$|ns/(rootfs|overlay|act|cgroup_impl)\.h$")
SHOWS_INSIDES = {"cmd_policy.c", "policy_table.c", "policy_explain.c", "policy_observe.c", "policy_learn.c", "policy_test.c", "policy_audit.c",
		 "policy_reach.c", "policy_compare.c"}
# errno is the out-parameter of strtoull(3) there, not the host's answer.
ERRNO = {"passthrough/hostcall.c", "passthrough/policy/policy_value.c"}

count = failed = 0


def result(name, problems):
    global count, failed
    count += 1
    failed += bool(problems)
    print(f"{'not ok' if problems else 'ok'} {count} - {name}")
    for line in problems:
        print(f"# {line}")


def sources():
    for where, dirs, files in sorted(os.walk(SRC)):
        dirs.sort()
        for name in sorted(files):
            if name.endswith((".c", ".h", ".def")):
                yield os.path.relpath(os.path.join(where, name), SRC)


def read(name):
    with open(os.path.join(SRC, name)) as f:
        return f.read()


def code(text):
    """Comments, strings and character constants taken out, lines kept."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m[0])
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text, flags=re.S)


def allowed(header, patterns):
    return any(header.startswith(p) if p.endswith("/") else header == p for p in patterns)


def top(name):
    """The folder of src/ that a file lies in, at whatever depth; "" for src/ itself."""
    return name.partition("/")[0] if "/" in name else ""


def includes(files):
    bad = []
    for name in files:
        folder = top(name)
        below = BELOW.get(folder)
        if below is None:
            bad.append(f"src/{name}: a folder that tests/layers.py does not know")
            continue
        for nr, line in enumerate(read(name).splitlines(), 1):
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not m:
                continue
            header = m[1]
            own = top(header) == folder
            inside = INSIDE.match(header) and not own and name not in SHOWS_INSIDES
            if inside or not (own or header in COMMON or allowed(header, below | ALSO.get(name, set()))):
                bad.append(f"src/{name}:{nr}: includes {header}")
    return bad


def common_stands_alone():
    bad = []
    for header in COMMON - {"config.h"}:
        for h in (header, header[:-1] + "c"):
            if not os.path.exists(os.path.join(SRC, h)):
                continue
            for m in re.finditer(r'^#include "([^"]+)"', read(h), re.M):
                if m[1] not in COMMON:
                    bad.append(f"src/{h}: includes {m[1]}, and everybody includes it")
    return bad


def errno_read(files):
    bad = []
    for name in files:
        if name in ERRNO:
            continue
        for nr, line in enumerate(code(read(name)).splitlines(), 1):
            if re.search(r"\berrno\b", line) and not re.match(r"\s*#\s*include", line):
                bad.append(f"src/{name}:{nr}: {read(name).splitlines()[nr - 1].strip()}")
    return bad


def untested():
    text = ""
    for folder in ("guest", "machine", "time", "memory"):
        folder = os.path.join(TOP, "tests", folder)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".c"):
                with open(os.path.join(folder, name)) as f:
                    text += code(f.read())
    names = re.findall(r"^SYSCALL\(\d+, (\w+)\)", read("kernel/syscalls.def"), re.M)
    return [f"syscalls.def: {n} is in no program of tests/guest or tests/time" for n in names
            if not re.search(rf"\b(SYS_|__NR_)?{n}\s*[(,;]", text)]


def heads(files):
    bad = []
    for name in files:
        lines = read(name).splitlines()[:3]
        base = os.path.basename(name)
        if len(lines) < 3 or "SPDX-License-Identifier: Apache-2.0" not in lines[0]:
            bad.append(f"src/{name}: the first line is not the licence")
        elif not re.match(rf" \* {re.escape(base)} - \S", lines[2]):
            bad.append(f"src/{name}: the third line is not \" * {base} - purpose\"")
    return bad


def main():
    files = list(sources())
    result("layers: a file includes only what lies below it", includes(files))
    result("layers: what everybody includes stands alone", common_stands_alone())
    result("errno is read in hostcall.c only", errno_read(files))
    result("every line of syscalls.def has a test that names it", untested())
    result("every file begins with its licence and purpose", heads(files))
    print(f"1..{count}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

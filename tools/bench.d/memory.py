# SPDX-License-Identifier: Apache-2.0
"""memory.py - private memory of the guest kernel of a guest that does nothing.

Boots a detached guest, lets it come to rest, and adds up Private_* of /proc/PID/smaps_rollup over
all processes of the weir program that belong to this guest: the guest kernel that `weir list
--json` names, what it runs beside itself, and what it was started by.
"""
import json
import os
import subprocess
import time
from pathlib import Path

from processes import parents

REST_S = 2


def private_kib(pid):
    total = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(("Private_Clean:", "Private_Dirty:", "Private_Hugetlb:")):
            total += int(line.split()[1])
    return total


def kernel_pid(weir, name):
    done = subprocess.run(
        [weir, "list", "--json"], capture_output=True, text=True, timeout=10, check=False
    )
    try:
        listed = json.loads(done.stdout)
    except ValueError:
        return None
    guests = listed.get("guests", []) if isinstance(listed, dict) else listed
    return next((guest.get("kernel_pid") for guest in guests if guest.get("name") == name), None)


def family(pid):
    """pid, what is below it and what is above it."""
    table = parents()
    found, level = [pid], [pid]
    while level:
        level = [child for child, parent in table.items() if parent in level]
        found += level
    while table.get(pid, 0) > 1:
        pid = table[pid]
        found.append(pid)
    return found


def is_program(pid, program):
    try:
        return os.path.samefile(f"/proc/{pid}/exe", program)
    except OSError:
        return False


def measure_memory(weir, policy, name):
    run = [
        weir,
        "run",
        "-p",
        policy,
        "--set",
        "guest.writable=no",
        "-d",
        "-n",
        name,
        "--",
        "sleep",
        "1000",
    ]
    try:
        # Its output goes to a file that nobody holds open for us: a detached guest may keep a pipe
        # for ever.
        started = subprocess.run(
            run,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
    except subprocess.TimeoutExpired:
        subprocess.run([weir, "kill", name], capture_output=True, timeout=20, check=False)
        return {"error": "weir run -d did not return within 30 s"}
    if started.returncode:
        return {"error": f"weir run -d: exit status {started.returncode}"}
    try:
        pid = kernel_pid(weir, name)
        if not pid:
            return {"error": "weir list --json names no kernel_pid for the guest"}
        time.sleep(REST_S)
        ours = [one for one in family(pid) if is_program(one, weir)]
        found = [
            {
                "pid": one,
                "comm": Path(f"/proc/{one}/comm").read_text().strip(),
                "private_kib": private_kib(one),
            }
            for one in ours
        ]
        return {
            "kernel_kib": private_kib(pid),
            "total_kib": sum(p["private_kib"] for p in found),
            "processes": found,
        }
    except OSError as error:
        return {"error": str(error)}
    finally:
        subprocess.run([weir, "kill", name], capture_output=True, timeout=20, check=False)

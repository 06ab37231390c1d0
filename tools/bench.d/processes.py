# SPDX-License-Identifier: Apache-2.0
"""processes.py - runs a command with a time limit and leaves none of its processes behind.

Runners detach things: a container's init, a sandbox, a tracer. The benchmark makes itself the
reaper of its orphans, so whatever a command leaves is found below this process, and only that is
ended.
"""
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def become_reaper():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def parents():
    """pid -> parent of every process that can be seen."""
    table = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            table[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    return table


def descendants(top):
    """All processes below top, children first."""
    table = parents()
    found, level = [], [top]
    while level:
        level = [pid for pid, parent in table.items() if parent in level and pid not in found]
        found += level
    return found


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def end_descendants(keep=()):
    """Kills what is left below this process, until nothing is (for 5 s at most)."""
    deadline = time.monotonic() + 5
    spared = set(keep)
    for pid in keep:
        spared.update(descendants(pid))
    while time.monotonic() < deadline:
        reap()
        left = [pid for pid in descendants(os.getpid()) if pid not in spared]
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.01)


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def reason(self):
        """One line that says why it failed."""
        lines = [line.strip() for line in (self.err + "\n" + self.out).splitlines()]
        lines = [line for line in lines if line and not line.startswith(("{", "@@"))]
        how = self.status if isinstance(self.status, str) else f"exit status {self.status}"
        return f"{how}: {lines[-1][:160]}" if lines else how


def run(argv, limit, cpu=None, keep=()):
    """Runs argv to its end; the status is words if it had to be ended or could not start.

    It reads an empty pipe and never /dev/null: started by root, crun and runsc change the owner of
    what they get as stdin, stdout and stderr, and would do that to the host's device.
    """

    def pin():
        if cpu is not None:
            os.sched_setaffinity(0, {cpu})

    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
            preexec_fn=pin,
            text=True,
            errors="replace",
        )
    except OSError as error:
        return Result("not started", "", f"{argv[0]}: {error.strerror}")
    try:
        out, err = child.communicate(timeout=limit)
        status = (
            child.returncode if child.returncode >= 0 else f"killed by signal {-child.returncode}"
        )
    except subprocess.TimeoutExpired:
        child.kill()
        end_descendants(keep)
        out, err = child.communicate()
        status = f"not done after {limit:.0f} s"
    except BaseException:
        child.kill()
        end_descendants(keep)
        raise
    end_descendants(keep)
    return Result(status, out, err)

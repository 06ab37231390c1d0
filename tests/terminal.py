# SPDX-License-Identifier: Apache-2.0
"""terminal.py - a pseudo-terminal with a command of the tests on it"""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

import harness
from harness import Failed


class Terminal:
    """The command has it for a controlling terminal; master is the side of who sits before it."""

    def __init__(self, case, argv, rows, cols, **env):
        self.case = case
        self.master, self.slave = pty.openpty()
        os.fchmod(self.slave, 0o666)
        self.resize(rows, cols)
        self.before = termios.tcgetattr(self.slave)
        # setsid makes the pty the controlling terminal, and then is the command.
        self.p = subprocess.Popen(["setsid", "--ctty", *argv], stdin=self.slave, stdout=self.slave,
                                  stderr=self.slave, cwd="/", env=dict(case.user.env(), **env),
                                  **case.user.popen_ids())
        case.cleanups.append(self.close)

    def resize(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def settings_restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        harness.stop_popen(self.p)
        for fd in (self.master, self.slave):
            try:
                os.close(fd)
            except OSError:
                pass


class Screen(Terminal):
    """What a simple terminal (vt100) would show of what the command writes."""

    def resize(self, rows, cols):
        super().resize(rows, cols)
        self.rows, self.cols = rows, cols
        self.data = b""		# all is drawn anew

    def read(self, seconds):
        while select.select([self.master], [], [], seconds)[0]:
            try:
                more = os.read(self.master, 65536)
            except OSError:
                return
            if not more:
                return
            self.data += more

    def show(self):
        """The rows as they stand now."""
        grid = [[" "] * self.cols for _ in range(self.rows)]
        y = x = top = 0
        bottom = self.rows - 1
        for m in re.finditer(r"\x1b\[([?\d;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b.|[\x00-\x1f]|[^\x00-\x1f]",
                             self.data.decode(errors="replace")):
            token, args, op = m[0], m[1] or "", m[2]
            n = int(args) if args.isdigit() else 1
            if op == "H":
                y, x = [int(v or 1) - 1 for v in (args.split(";") + ["1"])[:2]] if args else (0, 0)
            elif op == "J":
                for r in range(y, self.rows):
                    grid[r][x if r == y else 0:] = [" "] * (self.cols - (x if r == y else 0))
            elif op == "K":
                if args == "1":
                    grid[y][:x + 1] = [" "] * (x + 1)
                else:
                    grid[y][x:] = [" "] * (self.cols - x)
            elif op in ("A", "B", "C", "D"):
                y += {"A": -n, "B": n}.get(op, 0)
                x += {"C": n, "D": -n}.get(op, 0)
            elif token == "\r":
                x = 0
            elif token == "\b":
                x -= 1
            elif token == "\t":
                x = x // 8 * 8 + 8
            elif op == "r":
                top, bottom = [int(v) - 1 for v in args.split(";")] if args else (0, self.rows - 1)
                y = x = 0
            elif token in ("\n", "\x1bD", "\x1bM"):
                # at the edge of the scrolling region it is the region that moves
                edge, other, by = (top, bottom, -1) if token == "\x1bM" else (bottom, top, 1)
                if y == edge:
                    del grid[other]
                    grid.insert(edge, [" "] * self.cols)
                else:
                    y += by
            elif not token.startswith("\x1b") and token >= " ":
                if 0 <= y < self.rows and 0 <= x < self.cols:
                    grid[y][x] = token
                x += 1
            y, x = max(0, min(y, self.rows - 1)), max(0, min(x, self.cols))
        return ["".join(row).rstrip() for row in grid]

    def until(self, what, condition, seconds=10):
        """Read until the rows are as the condition wants them."""
        end = time.monotonic() + seconds
        while True:
            self.read(0.1)
            rows = self.show()
            if condition(rows):
                return rows
            if time.monotonic() > end or self.p.poll() is not None:
                raise Failed(f"{what}: status {self.p.poll()}; the screen is\n" + "\n".join(rows).rstrip())

    def until_text(self, pattern, seconds=10):
        return self.until(repr(pattern), lambda rows: re.search(pattern, "\n".join(rows)), seconds)

# SPDX-License-Identifier: Apache-2.0
"""terminal.py - a pseudo-terminal with a command of the tests on it"""

import fcntl
import os
import pty
import struct
import subprocess
import termios

import harness


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

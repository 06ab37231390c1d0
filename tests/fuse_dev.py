# SPDX-License-Identifier: Apache-2.0
"""A /dev/fuse that the test's user may open: guests have files of weir's by it"""

import os
import stat

from harness import USUAL, Skipped


def reach(case):
    """A way (harness.USUAL) to begin "weir run" with a node that the user may open.

    Where the mode of the host's node shuts the user out, root binds one that does not over it,
    in a mount namespace of the command's own.
    """
    try:
        node = os.stat("/dev/fuse")
    except OSError:
        raise Skipped("the host has no /dev/fuse")
    user = case.user
    if user.uid == 0 or stat.S_IMODE(node.st_mode) & 0o006 == 0o006:
        return USUAL
    if os.getuid() != 0:
        raise Skipped("/dev/fuse may not be opened, and only root can make a node")
    path = os.path.join(case.directory(), "fuse")
    os.mknod(path, node.st_mode, node.st_rdev)
    os.chmod(path, 0o666)
    return ["unshare", "-m", "--propagation", "private", "sh", "-c",
            f"mount --bind {path} /dev/fuse && exec setpriv --reuid={user.uid} --regid={user.gid} "
            "--clear-groups \"$@\"", "sh"], {}

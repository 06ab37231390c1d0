# SPDX-License-Identifier: Apache-2.0
"""Suite "guest": the output of a program in a guest is what it is natively

Each program runs in fresh namespaces without weir (reference.c) and in a guest
of each policy. A line that differs must be explained by DIFFERENCES; with -v the
runner prints each difference it allowed, and why. A line "FAILED ..." in the
guest is a failure whatever the native run said.
"""

import difflib
import re

import harness
from harness import Failed, Skipped

NATIVE = ("hosting", "all-trap")
JAILED = ("hosting", "all-trap", "jail")

# Program: the policies it is run under.
PROGRAMS = {
    "affinity": JAILED,
    "aio": NATIVE,
    "bigargs": JAILED,
    "chroot": NATIVE,
    "chroot_mount": NATIVE,
    "clock_set": JAILED,
    "dev_nodes": JAILED,
    "events": JAILED,
    "exec": JAILED,
    "files": JAILED,
    "futex": JAILED,
    "hostname": NATIVE,
    "ids": NATIVE,
    "inotify": JAILED,
    "jobcontrol": JAILED,
    "locks": JAILED,
    "loopback": NATIVE,
    "memory": JAILED,
    "mknod": NATIVE,
    "mknod_umask": NATIVE,
    "mount": NATIVE,
    "mount_proc": NATIVE,
    "mqueue": NATIVE,
    "namespaces": NATIVE,
    "netlink": NATIVE,
    "newmount": NATIVE,
    "once": NATIVE,
    "pid1": JAILED,
    "ping": NATIVE,
    "pipes": JAILED,
    "pivot": NATIVE,
    "proc_self": JAILED,
    "process": JAILED,
    "ptrace": NATIVE,
    "pty": JAILED,
    "reboot_bad": JAILED,
    "rlimit": JAILED,
    "rlimit_other": NATIVE,
    "sched": NATIVE,
    "scm": JAILED,
    "seccomp_filter": NATIVE,
    "seccomp_strict": NATIVE,
    "setuid": NATIVE,
    "shm": JAILED,
    "signals": JAILED,
    "sockets": NATIVE,
    "spawn": JAILED,
    "swap": JAILED,
    "sysinfo": JAILED,
    "syslog": NATIVE,
    "thread_exec": NATIVE,
    "time": JAILED,
    "uname": JAILED,
}

NO_DEVICES = "natively a user namespace makes no device node; the guest kernel makes those the guest has"
BOUND = ("a device node that the guest kernel makes is the host's node bound to a new file: it keeps the host's mode "
         "and owner, and is a mount point as long as it is there")
OVERLAY = "an overlay, which the guest's root is, keeps 0:0 devices to itself: they mark what was removed"
OWN_LOG = "natively the host's log is closed to a user namespace; the guest has a log of its own"
FAMILIES = "socket families are by allow list: UNIX, INET, INET6 and NETLINK_ROUTE (design.md, rule 10)"
NO_RAW = "guest root has no CAP_NET_RAW and no CAP_NET_ADMIN (design.md, rule 9)"
NAMESPACES = "new namespaces only if the policy says so (design.md, rule 10)"
NEW_MOUNT = "the new mount calls are hidden, so that programs use mount(2)"
STRICT = "the host allows no strict mode where a filter is already, and a guest is under weir's"
JAIL = "the jail policy refuses the call"
EITHER = "both are refused; the guest kernel looks at privilege first"
BELOW = "follows from a line above"
NO_LISTENER = "a listener is refused by the guest kernel"

ANY = r"(ok|[A-Z0-9]+|-?\d+)"

# Program, or program/policy: [(regex of the native lines, regex of the guest's lines, reason)]. A
# regex is matched against a whole line; None stands for no line.
DIFFERENCES = {
    "mknod": [
        (r"mknod (null|zero): EPERM", r"mknod (null|zero): ok", NO_DEVICES),
        (r"open it: ENOENT", r"open it: ok", BELOW),
        (None, r"ok (null|zero|it is 1:3).*", BELOW),
        (None, r"remove null: EBUSY", BOUND),
        (r"(full|random|urandom|tty): EPERM", r"(full|random|urandom|tty): ok", NO_DEVICES),
        (r"whiteout 0:0: ok", r"whiteout 0:0: EPERM", OVERLAY),
        (r"(mknod there|below a file|in a missing directory|bad directory fd|empty path): [A-Z]+",
         r"(mknod there|below a file|in a missing directory|bad directory fd|empty path): [A-Z]+", EITHER),
    ],
    "mknod_umask": [
        (r"mknod null: EPERM", r"mknod null: ok", NO_DEVICES),
        (None, r"mode: 666", BOUND),
        (None, r"owner: (0:0|65534:65534)", BOUND),
        (r"mknod where 1000 may not: (EACCES|EPERM)", r"mknod where 1000 may not: (EACCES|EPERM)", EITHER),
    ],
    "syslog": [
        (r".*: EPERM", r"size of the log: ok", OWN_LOG),
        (r".*: EPERM", r"read it: ok", OWN_LOG),
        (r".*: EPERM", r"(read of -1 bytes|unknown action|console level): EINVAL", OWN_LOG),
        (r".*: EPERM", r"read to a bad pointer: EFAULT", OWN_LOG),
        (None, r"ok it .*", OWN_LOG),
    ],
    "sockets": [
        (r"(inet raw|packet): ok", r"(inet raw|packet): (EPERM|EACCES|EAFNOSUPPORT)", NO_RAW),
        (r"netlink (audit|netfilter|xfrm|sock_diag|generic): (ok|EPROTONOSUPPORT)",
         r"netlink (audit|netfilter|xfrm|sock_diag|generic): (EPERM|EACCES|EAFNOSUPPORT|EPROTONOSUPPORT)", FAMILIES),
        (r"(vsock|xdp|bluetooth|can|tipc|rds|key|kcm|smc|alg): " + ANY,
         r"(vsock|xdp|bluetooth|can|tipc|rds|key|kcm|smc|alg): (EPERM|EACCES|EAFNOSUPPORT)", FAMILIES),
        (r"family (0|200|-1): EAFNOSUPPORT", r"family (0|200|-1): (EAFNOSUPPORT|EINVAL)", FAMILIES),
        (r"inet, bad protocol: EINVAL", r"inet, bad protocol: EPROTONOSUPPORT", FAMILIES),
        (r"socketpair inet: EOPNOTSUPP", r"socketpair inet: (EAFNOSUPPORT|EPERM)", FAMILIES),
    ],
    "seccomp_filter": [
        (r"mode outside: 0", r"mode outside: 2", "a guest is under a filter of weir's"),
    ],
    "seccomp_strict": [
        (r"in strict mode", None, STRICT),
        (r"by (prctl|seccomp): exit [78]", r"by (prctl|seccomp): EINVAL", STRICT),
        (None, r"by (prctl|seccomp): exit 0", STRICT),
        (r"(getppid|sethostname) in strict mode: signal 9", r"(getppid|sethostname) in strict mode: exit 0", STRICT),
        (None, r"strict mode: EINVAL", STRICT),
    ],
    "pipes/jail": [
        (r"vmsplice: 7", r"vmsplice: ENOSYS", JAIL),
    ],
    "clock_set/jail": [
        (r"(adjtimex|clock_adjtime) reads: ok", r"(adjtimex|clock_adjtime) reads: EPERM", JAIL),
        (r"clock_settime (MONOTONIC|TAI): EINVAL", r"clock_settime (MONOTONIC|TAI): EPERM", JAIL),
    ],
    "netlink": [
        (r"take lo down: ok", r"take lo down: EPERM", NO_RAW),
    ],
    "loopback": [
        (r"bind to port 80: ok", r"bind to port 80: EACCES", "a policy may keep CAP_NET_BIND_SERVICE from the guest"),
    ],
    "ping": [
        (r"ping socket: EACCES", r"ping socket: ok", "the guest may ping; a new network namespace does not allow it"),
        (None, r"send: ok", BELOW),
        (None, r"ok the answer is an echo reply", BELOW),
    ],
    "namespaces": [
        (r"(mnt|uts|ipc|net|pid|cgroup|time|user) (unshare|clone): ok",
         r"(mnt|uts|ipc|net|pid|cgroup|time|user) (unshare|clone): EPERM", NAMESPACES),
        (r"clone3 without flags: ok", r"clone3 without flags: ENOSYS",
         "the flags of clone3 are in memory; C libraries fall back to clone"),
        (r"setns to our own uts: ok", r"setns to our own uts: EPERM", NAMESPACES),
    ],
    "pivot": [
        (r"(a mount namespace|private|a tmpfs for the root|pivot_root|chdir|the root is the new one|"
         r"the old one is below it|detach the old one|it is gone|sethostname after it|mount after it|"
         r"umount after it): .*", r"a mount namespace: EPERM", NAMESPACES),
        (r"(a tmpfs for the root|pivot_root|the root is .*|the old .*|it is gone|.* after it): .*", None, NAMESPACES),
        (r"to (what is no mount point|nothing): [A-Z]+", r"to (what is no mount point|nothing): EPERM", NAMESPACES),
    ],
    "newmount": [
        (r"(fsopen|fspick|open_tree|move_mount|fsconfig|fsmount|mount_setattr|statmount|listmount): .*",
         r"(fsopen|fspick|open_tree|move_mount|fsconfig|fsmount|mount_setattr|statmount|listmount): ENOSYS", NEW_MOUNT),
    ],
    "swap": [
        (r"quotactl: ENOTBLK", r"quotactl: (EPERM|ENOSYS)", "quotas are the host's affair"),
        (r"acct (on|off): EPERM", r"acct (on|off): ENOSYS", "accounting is not in the mask"),
    ],
    "reboot_bad": [
        (r"(wrong (first|second) word|unknown command): EINVAL", r"(wrong (first|second) word|unknown command): EPERM",
         "a policy may keep CAP_SYS_BOOT from the guest"),
    ],
    "files": [
        (r"unnamed file: ok", r"unnamed file: EOPNOTSUPP", "an overlay on this kernel has no unnamed files"),
    ],
    "rlimit_other": [
        (r"(read|set) (root|pid 1)'s limits: EPERM", r"(read|set) (root|pid 1)'s limits: (EPERM|EACCES)", EITHER),
    ],
}


def explained(line, column, table):
    """Why the table allows the line to be on one side only; None when it does not."""
    for entry in table:
        if entry[column] is not None and re.fullmatch(entry[column], line):
            return entry[2]
    return None


def compare(case, program, native, guest):
    """Every difference of two outputs is in the table, or Failed."""
    table = DIFFERENCES.get(program, []) + DIFFERENCES.get(f"{program}/{case.policy}", [])
    # What a check found wrong natively is the reference's own poverty (its /dev is
    # the host's): it is set right before the comparison.
    failed_natively = {line[7:] for line in native if line.startswith("FAILED ")}
    native = ["ok" + line[6:] if line.startswith("FAILED ") else line for line in native]
    native = [line for line in native if not line.endswith(" is a surprise")]
    if any(line.startswith("FAILED ") for line in guest):
        raise Failed("a check failed in the guest\n" + "\n".join(x for x in guest if x.startswith("FAILED ")))
    bad = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, native, guest, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for sign, column, lines in (("-", 0, native[a:b]), ("+", 1, guest[c:d])):
            for line in lines:
                reason = explained(line, column, table)
                if reason:
                    case.note(f"{sign} {line}: {reason}")
                else:
                    bad.append(f"{sign} {line}")
    if bad:
        raise Failed("differs (- natively, + in the guest)\n" + "\n".join(bad))
    return failed_natively


def both_ways(program):
    def run(case):
        path = case.ctx.program("guest/" + program)
        native = case.reference(path)
        guest = case.run(path)
        if guest.status not in (0, 1, 77):
            raise Failed("the program did not end as it should\n" + guest.text())
        failed_natively = compare(case, program, native.out.splitlines(), guest.out.splitlines())
        if guest.status != native.status and not failed_natively:
            raise Failed(f"status {guest.status} in the guest, {native.status} natively\n{guest.text()}")
        if guest.status == 77:
            raise Skipped(re.sub(r"^.*SKIP ", "", guest.out.strip().splitlines()[-1]))
        if guest.err and guest.err != native.err:
            raise Failed("something on standard error\n" + guest.text())

    return run


for name, policies in PROGRAMS.items():
    harness.add("guest", name.replace("_", "-"), both_ways(name), policies=policies, programs=["guest/" + name])

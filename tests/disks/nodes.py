# SPDX-License-Identifier: Apache-2.0
"""Suite "disks": partitions, disks that come and go, and what /proc and /sys say of them"""

import os
import struct

from disk_guests import ALL, SHELL, Guests, disk, random_image, read, tell
from harness import need, test

TABLE = r"printf ',4M,L\n,8M,E\n,,L\n,2M,L\n,1M,L\n' | sfdisk -q --wipe always /dev/ubd0"


def image(case, size, name="image"):
    path = os.path.join(case.directory(), name)
    disk(case, "create", "--size", size, path)
    return path


@test("disks", users=ALL, programs=("disks/device",))
def partitions(case):
    """What sfdisk writes is there as nodes when it has ended, and after the next boot."""
    need("sfdisk", "mke2fs", "e2fsck")
    guests = Guests(case)
    path = image(case, "32M")
    program = case.ctx.program("disks/device")
    r = guests.run({"0.image": path},
                   f"{TABLE}\nls /dev/ubd | tr '\\n' ' '\n"
                   f"{program} /dev/ubd0p1 4194304 0 2048\n{program} /dev/ubd0p5 2097152 0 12288\n"
                   "mke2fs -q -F /dev/ubd0p1\necho end of it | dd of=/dev/ubd0p1 bs=512 seek=8191 conv=sync,notrunc 2>/dev/null\n"
                   "dd if=/dev/ubd0 bs=1M skip=1 count=4 2>/dev/null | cmp - /dev/ubd0p1\n"
                   "e2fsck -fn /dev/ubd0p1 >/dev/null 2>&1\n")
    case.equal("nodes and what was found", r.out, "0 0p1 0p2 0p3 0p5 0p6 good\ngood\n")
    case.equal("the last sector", read(path)[(5 << 20) - 512:][:11], b"end of it\n\0")
    r = guests.run({"0.image": path, "0.readonly": "yes"},
                   f"cd /dev; echo ubd0*\n{program} /dev/ubd0p1 4194304 1 2048")
    case.equal("nodes of a disk that is read-only", r.out, "ubd0 ubd0p1 ubd0p2 ubd0p3 ubd0p5 ubd0p6\ngood\n")


@test("disks")
def guid_partitions(case):
    need("sfdisk", "blockdev")
    guests = Guests(case)
    path = image(case, "32M")
    table = r"printf 'label: gpt\n,4M\n,4M\n' | sfdisk -q /dev/ubd0"
    r = guests.run({"0.image": path}, f"{table}\ncd /dev; echo ubd0*; blockdev --getsize64 /dev/ubd0p2\n"
                   # The first table is gone: its copy counts.
                   "dd if=/dev/zero of=/dev/ubd0 bs=512 seek=1 count=33 conv=notrunc 2>/dev/null; echo ubd0*\n"
                   "dd if=/dev/zero of=/dev/ubd0 bs=1M conv=notrunc 2>/dev/null || :; echo ubd0*")
    case.equal("nodes", r.out, "ubd0 ubd0p1 ubd0p2\n4194304\nubd0 ubd0p1 ubd0p2\nubd0\n")


@test("disks")
def partitions_in_use_stay(case):
    need("sfdisk", "blockdev", "setpriv")
    guests = Guests(case)
    path = image(case, "32M")
    r = guests.run({"0.image": path},
                   f"{TABLE}\ncd /dev\nexec 3</dev/ubd0p6\n"
                   "dd if=/dev/zero of=/dev/ubd0 bs=512 count=1 conv=notrunc 2>/dev/null; echo ubd0*\n"
                   "blockdev --rereadpt /dev/ubd0 2>&1 | grep -o 'Device or resource busy'\n"
                   "chmod 666 /dev/ubd0\n"
                   "setpriv --reuid=33 --regid=33 --clear-groups blockdev --rereadpt /dev/ubd0 2>&1 | grep -o 'Permission denied'\n"
                   "exec 3<&-; blockdev --rereadpt /dev/ubd0; echo ubd0*")
    case.equal("nodes", r.out, "ubd0 ubd0p1 ubd0p2 ubd0p3 ubd0p5 ubd0p6\nDevice or resource busy\n"
               "Permission denied\nubd0\n")


@test("disks")
def partition_and_disk_agree(case):
    """A disk and a partition have a page cache each: who opens one sees what was written through the other."""
    need("sfdisk")
    guests = Guests(case)
    r = guests.run({"0.image": image(case, "32M")},
                   f"{TABLE}\nhead -c 4 /dev/ubd0p1 >/dev/null\n"
                   "for x in one two six; do\n"
                   "echo $x | dd of=/dev/ubd0 bs=512 seek=2048 conv=sync,notrunc 2>/dev/null; head -c 4 /dev/ubd0p1\n"
                   "echo a$x | dd of=/dev/ubd0p1 bs=512 conv=sync,notrunc 2>/dev/null\n"
                   "dd if=/dev/ubd0 bs=512 skip=2048 count=1 2>/dev/null | head -c 5; done")
    case.equal("what was read", r.out.split(), "one aone two atwo six asix".split())


@test("disks")
def a_cache_that_was_kept_open_is_not_kept_for_ever(case):
    """A second opener of a partition shares the first one's cache; who comes when both are gone sees the disk."""
    need("sfdisk")
    r = Guests(case).run({"0.image": image(case, "32M")},
                         f"{TABLE}\necho old | dd of=/dev/ubd0p1 bs=512 conv=sync,notrunc 2>/dev/null\n"
                         "exec 7</dev/ubd0p1; head -c 3 <&7\n"
                         "echo new | dd of=/dev/ubd0 bs=512 seek=2048 conv=sync,notrunc 2>/dev/null\n"
                         "exec 8</dev/ubd0p1 7<&- 8<&-; head -c 3 /dev/ubd0p1")
    case.equal("what was read", r.out, "oldnew")


@test("disks")
def hostile_table(case):
    """A chain of tables that leads back to itself: no partitions, and a line in the log."""
    guests = Guests(case)
    path = image(case, "4M")
    with open(path, "r+b") as f:
        for sector in (0, 100):
            f.seek(512 * sector + 446 + 16)
            f.write(struct.pack("<4xB3xII", 5, 100 if sector == 0 else 0, 1000))
            f.seek(512 * sector + 510)
            f.write(b"\x55\xaa")
    p = guests.start({"0.image": path}, '[ "$(ls /dev/ubd)" = 0 ]; echo ready; cat')
    case.matches("the log", case.weir("log", p.guest).out, "ubd0: its partitions are not used: more than 124 logical")


# ---- /proc and /sys ----------------------------------------------------------

def host_disks():
    with open("/proc/partitions") as f:
        return {line.split()[3] for line in f if line[:1] == " "} - {f"ubd{i}" for i in range(16)}


@test("disks", users=ALL)
def only_its_own_are_shown(case):
    need("lsblk", "sfdisk")
    guests = Guests(case)
    show = ("cat /proc/partitions /proc/diskstats; ls /sys/block /sys/class/block /sys/dev/block "
            "/sys/devices/virtual/block; lsblk -rno NAME,SIZE,RO,TYPE,SERIAL,MAJ:MIN")
    r = guests.run({"0.image": image(case, "1M")}, f"true\n{show}")
    names = host_disks()
    case.true("disks of the host are shown", not names & set(r.out.split()))
    r = guests.run({"0.image": image(case, "32M"), "12.image": image(case, "1M"), "12.readonly": "yes",
                    "12.serial": "A-12"}, f"{TABLE}\n{show}")
    case.true("disks of the host are shown", not names & set(r.out.split()))
    case.matches("lsblk", r.out, r"\nubd0 32M 0 disk  98:0\nubd0p1 4M 0 part  98:1\nubd0p2 1K 0 part  98:2\n")
    case.matches("lsblk", r.out, r"\nubd12 1M 1 disk A-12 98:3072\n")
    case.matches("/proc/partitions", r.out, "^major minor  #blocks  name\n\n  98        0      32768 ubd0\n")
    r = guests.run({}, "cat /proc/partitions /proc/diskstats; for x in block class/block dev/block; do ls -A /sys/$x; done")
    case.equal("what a guest without disks is shown", r.out, "")


@test("disks")
def block_files(case):
    need("sfdisk")
    guests = Guests(case)
    r = guests.run({"0.image": image(case, "32M"), "0.serial": "S1", "0.depth": "7"},
                   f"{TABLE}\ncd /sys/block/ubd0\n"
                   "echo $(cat size ro removable serial dev queue/logical_block_size queue/nr_requests queue/rotational)\n"
                   "echo $(cat ubd0p5/partition ubd0p5/start ubd0p5/size ubd0p5/dev)\n"
                   "cat uevent\nreadlink -f /sys/dev/block/98:5 /sys/class/block/ubd0p1 subsystem")
    case.equal("the files", r.out.splitlines(), [
        "65536 0 0 S1 98:0 512 7 0", "5 12288 4096 98:5", "MAJOR=98", "MINOR=0", "DEVNAME=ubd0", "DEVTYPE=disk",
        "/sys/block/ubd0/ubd0p5", "/sys/block/ubd0/ubd0p1", "/sys/class/block"])


@test("disks")
def counted(case):
    """iostats.rst: a partition's requests are its disk's too."""
    need("sfdisk")
    guests = Guests(case)
    r = guests.run({"0.image": image(case, "32M")},
                   f"{TABLE}\nset -- $(cat /sys/block/ubd0/stat)\nr=$1 rs=$3 w=$5\n"
                   "dd if=/dev/ubd0p1 of=/dev/null bs=4096 count=10 iflag=direct 2>/dev/null\n"
                   "dd if=/dev/zero of=/dev/ubd0p1 bs=8192 count=5 oflag=direct conv=notrunc,fsync 2>/dev/null\n"
                   "set -- $(cat /sys/block/ubd0/stat)\necho $(($1 - r)) $(($3 - rs)) $(($5 - w)) $9\n"
                   "set -- $(cat /sys/block/ubd0/ubd0p1/stat)\necho $1 $3 $5 $7 $9 ${16}\n"
                   "set -- $(grep ' ubd0p1 ' /proc/diskstats)\necho $# $4 $6 $8 ${10}")
    case.equal("counters", r.out.splitlines(), ["10 80 5 0", "10 80 5 80 0 1", "20 10 80 5 80"])


# ---- disks that come and go --------------------------------------------------

@test("disks", users=ALL)
def added_and_removed(case):
    need("sfdisk")
    guests = Guests(case)
    base = random_image(case, "base", 1 << 20)
    other = image(case, "32M")
    guests.run({"0.image": other}, TABLE)
    disk(case, "create", "--backing", base, base + ".cow")
    p = guests.start({}, SHELL, ["--set", "guest.hotplug=yes"])
    case.equal("disks at boot", tell(p, "cd /dev; echo $(ls ubd; ls /sys/block; ls | grep ubd)"), "ubd")
    disk(case, "add", "--serial", "hot-1", p.guest, "3", base + ".cow")
    disk(case, "add", "--readonly", p.guest, "0", other)
    case.equal("then", tell(p, "echo $(ls ubd) $(ls /sys/block) $(cat /sys/block/ubd3/serial /sys/block/ubd0/ro) $(echo ubd0p*)"),
               "0 0p1 0p2 0p3 0p5 0p6 3 ubd0 ubd3 hot-1 1 ubd0p1 ubd0p2 ubd0p3 ubd0p5 ubd0p6")
    case.equal("its bytes", tell(p, "cksum < ubd3"), case.command(["cksum", base]).out.rsplit(" ", 1)[0])
    case.one_line_error(case.weir("disk", "add", p.guest, "3", other), 1, "in use|has a disk 3 already")
    case.one_line_error(case.weir("disk", "add", p.guest, "4", base + ".cow"), 1, "in use")
    case.one_line_error(case.weir("disk", "add", p.guest, "16", base), 2, "0 to 15")
    case.one_line_error(case.weir("disk", "remove", p.guest, "5"), 1, "has no disk 5")
    case.equal("a write", tell(p, "exec 4<>ubd3; echo changed | dd of=ubd3 bs=512 conv=sync,notrunc 2>/dev/null; echo ok"), "ok")
    case.one_line_error(case.weir("disk", "remove", p.guest, "3"), 1, "ubd3 is in use")
    case.equal("closed", tell(p, "exec 4>&-; echo ok"), "ok")
    disk(case, "remove", p.guest, "3")
    disk(case, "remove", p.guest, "0")
    case.equal("at last", tell(p, "echo $(ls ubd; ls /sys/block; ls | grep ubd)"), "ubd")
    # It was flushed, and is nobody's any more.
    disk(case, "merge", base + ".cow", base + ".out")
    case.equal("what was written", read(base + ".out")[:8], b"changed\n")
    facts = case.stats(p.guest)
    case.equal("weir stats", facts["disks"], [])


@test("disks")
def no_hotplug_no_disks(case):
    guests = Guests(case)
    path = image(case, "1M")
    p = guests.start({}, SHELL)
    case.one_line_error(case.weir("disk", "add", p.guest, "0", path), 1, "guest.hotplug=yes")
    case.one_line_error(case.weir("disk", "add", p.guest + "-none", "0", path), 1, "no such guest|not running|no guest")


@test("disks")
def killed_with_an_added_disk(case):
    """Nothing is left of it: the next guest has the disk, with all that was flushed."""
    guests = Guests(case)
    path = image(case, "1M")
    p = guests.start({}, SHELL, ["--set", "guest.hotplug=yes"])
    disk(case, "add", p.guest, "1", path)
    case.equal("a write", tell(p, "echo kept | dd of=/dev/ubd1 bs=512 conv=sync,notrunc,fsync 2>/dev/null; echo ok"), "ok")
    os.kill(case.kernel_pid(p.guest), 9)
    p.wait(60)
    r = guests.run({"0.image": path}, "head -c 4 /dev/ubd0")
    case.equal("what is there", r.out, "kept")

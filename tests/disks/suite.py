# SPDX-License-Identifier: Apache-2.0
"""Suite "disks": weir disk, and what other programs make of its files

What is written into COW files by hand follows the description of the format, not
weir's own code; uml_mkcow and uml_moo are the judges where they are installed.
"""

import json
import os
import random
import struct
import subprocess
import time

from disk_guests import ALL, SECTOR, SHELL, Guests, disk, full_file_system, names, random_image, read, tell
from harness import Failed, need, test


def scribble(path, seed, count):
    """Write sectors as another implementation would: data and bits. The last sector too."""
    r = random.Random(seed)
    with open(path, "r+b") as f:
        size, = struct.unpack(">Q", f.read(4128)[12:20])
        sectors = (size + SECTOR - 1) // SECTOR
        bits = bytearray((sectors + 7) // 8)
        data = (8192 + len(bits) + 4095) // 4096 * 4096
        for s in [sectors - 1, *(r.randrange(sectors) for _ in range(count))]:
            bits[s // 8] |= 1 << s % 8
            f.seek(data + SECTOR * s)
            f.write(bytes(SECTOR) if r.random() < 0.3 else r.randbytes(SECTOR))
        f.seek(8192)
        f.write(bits)


def merged(image, cow):
    """The same by the description of the format."""
    out, raw = bytearray(read(image)), read(cow)
    sectors = (len(out) + SECTOR - 1) // SECTOR
    data = (8192 + (sectors + 7) // 8 + 4095) // 4096 * 4096
    for s in range(sectors):
        if raw[8192 + s // 8] >> s % 8 & 1:
            at = data + SECTOR * s
            out[s * SECTOR:(s + 1) * SECTOR] = raw[at:at + SECTOR]
    return bytes(out[:os.path.getsize(image)])


@test("disks", policies=(None,))
def create_and_info(case):
    path = os.path.join(case.directory(), "a.img")
    disk(case, "create", "--size", "10M", path)
    case.equal("size", os.path.getsize(path), 10 << 20)
    facts = json.loads(disk(case, "info", "--json", path).out)
    case.equal("facts", (facts["format"], facts["size_bytes"]), ("raw", 10 << 20))
    case.one_line_error(case.weir("disk", "create", "--size", "1M", path), 1, "--force")
    case.equal("size", os.path.getsize(path), 10 << 20)
    disk(case, "create", "--force", "--size", "1M", path)
    case.equal("size", os.path.getsize(path), 1 << 20)
    for bad in (("create", path), ("create", "--size", "x", path), ("info",), ("nonsense",), ("merge", path),
                ("info", "--size", "1M", path), ("create", "--backing", path, "--size", "1M", path)):
        case.one_line_error(case.weir("disk", *bad), 2)
    case.equal("files", names(path), ["a.img"])


@test("disks", policies=(None,))
def cow_is_uml_mkcows(case):
    need("uml_mkcow")
    base = random_image(case, "base", 3_000_320)
    cow, theirs = base + ".cow", base + ".uml"
    disk(case, "create", "--backing", base, cow)
    case.status(case.command(["uml_mkcow", theirs, base]), 0)
    case.true("the COW files differ", read(cow) == read(theirs))
    disk(case, "check", theirs)


@test("disks", policies=(None,))
def merge_is_uml_moos(case):
    need("uml_moo")
    base = random_image(case, "base", 5_000_704)
    cow = base + ".cow"
    disk(case, "create", "--backing", base, cow)
    scribble(cow, 2, 2000)
    disk(case, "merge", cow, base + ".ours")
    case.status(case.command(["uml_moo", cow, base + ".theirs"]), 0)
    case.true("uml_moo merges otherwise", read(base + ".ours") == read(base + ".theirs"))
    case.true("it is not what the format says", read(base + ".ours") == merged(base, cow))


@test("disks", policies=(None,))
def odd_size_keeps_its_tail(case):
    base = random_image(case, "base", 1_000_001)
    cow = base + ".cow"
    disk(case, "create", "--backing", base, cow)
    disk(case, "merge", cow, base + ".empty")
    case.true("an empty COW file changes the image", read(base + ".empty") == read(base))
    scribble(cow, 3, 100)
    want = merged(base, cow)
    disk(case, "merge", cow, base + ".out")
    case.true("merge", read(base + ".out") == want)
    disk(case, "commit", cow)
    case.true("commit", read(base) == want)
    facts = json.loads(disk(case, "info", "--json", cow).out)
    case.equal("the COW file afterwards", (facts["cow_sectors"], facts["backing_state"]), (0, "unchanged"))


@test("disks", policies=(None,))
def commit_shows_in_other_cows(case):
    base = random_image(case, "base", 1 << 20)
    one, two = base + ".1", base + ".2"
    for cow in (one, two):
        disk(case, "create", "--backing", base, cow)
    scribble(one, 4, 50)
    disk(case, "commit", one)
    case.one_line_error(case.weir("disk", "merge", two, base + ".out"), 1, "changed since")
    case.status(case.weir("disk", "check", two), 1)
    case.true("something was made", not os.path.exists(base + ".out"))


@test("disks", policies=(None,))
def commit_again(case):
    """An interrupted commit has changed a part of the base: nothing is lost."""
    base = random_image(case, "base", 1 << 20)
    cow = base + ".cow"
    disk(case, "create", "--backing", base, cow)
    scribble(cow, 5, 500)
    want = merged(base, cow)
    with open(base, "r+b") as f:
        f.write(want[:300_000])
    os.utime(base, (1, 1))
    case.one_line_error(case.weir("disk", "commit", cow), 1, "changed since")
    disk(case, "commit", "--again", cow)
    case.true("commit", read(base) == want)


@test("disks", policies=(None,), users=("root",))
def no_room_no_loss(case):
    base = random_image(case, "base", 4 << 20)
    cow = base + ".cow"
    disk(case, "create", "--backing", base, cow)
    scribble(cow, 6, 5000)
    place, run = full_file_system(case, "1m")
    weir = case.ctx.weir
    r = run(f"cp {base} /dev/null; echo old > {place}/out\n"
            f"{weir} disk merge --force {cow} {place}/out && exit 9\nls -A {place}; cat {place}/out\n")
    case.equal("what is left", r.out.split(), ["out", "old"])
    case.matches("the reason", r.err, "weir: disk: .*nothing was made: No space left")
    r = run(f"truncate -s 4M {place}/b; head -c 600k /dev/zero | tr '\\0' x > {place}/fill; "
            f"{weir} disk create --backing {place}/b {place}/c\n"
            # The bitmap only: what it speaks of is zero.
            f"dd if={cow} of={place}/c bs=4096 conv=notrunc,nocreat skip=2 seek=2 count=1 2>/dev/null\n"
            f"cksum < {place}/b; {weir} disk commit {place}/c && exit 9; cksum < {place}/b\n")
    lines = r.out.splitlines()
    case.equal("the base before and after", lines[0], lines[1])
    case.matches("the reason", r.err, "nothing was changed: No space left")


@test("disks", policies=(None,))
def from_directory(case):
    need("mke2fs", "e2fsck", "debugfs")
    tree = case.directory()
    os.mkdir(os.path.join(tree, "etc"))
    case.write(os.path.join(tree, "etc", "hello"), "hello from a file\n")
    os.symlink("etc/hello", os.path.join(tree, "link"))
    image = os.path.join(case.directory(), "root.img")
    disk(case, "create", "--from", tree, image)
    facts = json.loads(disk(case, "check", "--json", image).out)
    case.equal("facts", (facts["ok"], facts["file_system"]), (True, "ext"))
    r = case.command(["/sbin/debugfs", "-R", "cat /etc/hello", image])
    case.equal("the file", r.out, "hello from a file\n")
    big = os.path.join(tree, "big")
    with open(big, "wb") as f:
        f.write(os.urandom(1 << 20))
    os.chmod(big, 0o644)
    r = case.weir("disk", "create", "--from", tree, "--size", "600K", image + "2")
    case.one_line_error(r, 1, "larger --size")
    case.equal("files", names(image), ["root.img"])


@test("disks", policies=(None,))
def convert_qcow2(case):
    need("qemu-img")
    raw = random_image(case, "raw", 2 << 20)
    case.status(case.command(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, raw + ".qcow2"]), 0)
    disk(case, "convert", raw + ".qcow2", raw + ".back")
    case.true("convert", read(raw) == read(raw + ".back"))
    disk(case, "convert", raw, raw + ".copy")
    case.true("copy", read(raw) == read(raw + ".copy"))
    case.status(case.command(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", raw, raw + ".over"]), 0)
    case.one_line_error(case.weir("disk", "convert", raw + ".over", raw + ".no"), 1, "backing file")
    cow = raw + ".cow"
    disk(case, "create", "--backing", raw, cow)
    case.one_line_error(case.weir("disk", "convert", cow, raw + ".no"), 1, "weir disk merge")
    case.true("something was made", not os.path.exists(raw + ".no"))


@test("disks", policies=(None,))
def bad_headers(case):
    base = random_image(case, "base", 1 << 20)
    cow = base + ".cow"
    disk(case, "create", "--backing", base, cow)
    good = read(cow)

    def refused(at, data, why):
        with open(cow, "wb") as f:
            f.write(good[:at] + data + good[at + len(data):])
        r = case.weir("disk", "merge", cow, base + ".out")
        case.one_line_error(r, 1, why)
        case.status(case.weir("disk", "check", cow), 1)

    refused(4, b"\0\0\0\4", "version 4")
    refused(24, b"\0\0\0\0", "alignment of 0")
    refused(20, b"\0\0\x10\0", "sector size of 4096")
    refused(28, b"\0\0\0\1", "format 1")
    refused(32, b"\0", "absolute path")
    refused(32, b"x" * 4096, "no end|absolute path")
    refused(12, b"\xff" * 8, "bytes")
    with open(cow, "wb") as f:
        f.write(good[:8200])
    case.one_line_error(case.weir("disk", "merge", cow, base + ".out"), 1, "cut off")
    # A bit for a sector that the file is too short for.
    with open(cow, "wb") as f:
        f.write(good[:8192] + b"\x01" + good[8193:8192 + 256])
    r = disk(case, "check", cow, status=1)
    case.matches("check", r.out, "sector 0 is said to be in the file")


@test("disks", policies=(None,))
def locked_files(case):
    """A file that another program has locked, as UML and qemu's tools do, is refused."""
    base = random_image(case, "base", 1 << 20)
    cow = base + ".cow"
    disk(case, "create", "--backing", base, cow)
    script = ("import fcntl, os, sys\n"
              "fd = os.open(sys.argv[1], os.O_RDWR)\n"
              "fcntl.lockf(fd, fcntl.LOCK_EX)\n"
              "print('locked', flush=True)\nsys.stdin.read()\n")
    for path in (cow, base):
        p = subprocess.Popen(["python3", "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            if p.stdout.readline() != b"locked\n":
                raise Failed("the file cannot be locked")
            r = case.weir("disk", "merge", cow, base + ".out")
            case.one_line_error(r, 1, f"{path}: in use: process {p.pid} writes it")
        finally:
            p.communicate(b"")
    disk(case, "merge", cow, base + ".out")


@test("disks", policies=(None,))
def killed_merge_leaves_nothing(case):
    base = random_image(case, "base", 32 << 20)
    cow = base + ".cow"
    disk(case, "create", "--backing", base, cow)
    before = names(base)
    for i in range(10):
        p = subprocess.Popen([case.ctx.weir, "disk", "merge", cow, base + ".out"], env=case.user.env(),
                             **case.user.popen_ids())
        # Sooner and later in its life, wherever it then is.
        try:
            p.wait(0.004 * i)
        except subprocess.TimeoutExpired:
            p.kill()
        p.wait()
        if names(base) != before:
            case.equal("the image", read(base + ".out"), read(base))
            os.unlink(base + ".out")


# ---- guests ------------------------------------------------------------------


@test("disks", users=ALL, programs=("disks/device",))
def device(case):
    guests = Guests(case)
    image, base = (os.path.join(case.directory(), x) for x in ("image", "base"))
    for path in (image, base):
        disk(case, "create", "--size", "8M", path)
    disk(case, "create", "--backing", base, base + ".cow")
    program = case.ctx.program("disks/device")
    r = guests.run({"0.image": image, "3.image": base, "3.readonly": "yes", "7.cow": base + ".cow"},
                   f"for x in '0 8388608 0' '3 8388608 1' '7 8388608 0'; do {program} /dev/ubd$x || :; done")
    case.equal("what was found", r.out, "good\n" * 3)
    # Without O_DIRECT on the host, where a sector need not be one.
    r = guests.run({"0.image": image, "0.direct": "no", "0.depth": "1"}, f"{program} /dev/ubd0 8388608 0")
    case.equal("what was found", r.out, "good\n")


@test("disks", users=ALL)
def tools_inside(case):
    need("mke2fs", "e2fsck", "debugfs", "sfdisk", "blkid")
    guests = Guests(case)
    base = random_image(case, "base", 64 << 20)
    disk(case, "create", "--backing", base, base + ".cow")
    guests.run({"0.cow": base + ".cow"},
               "dd if=/dev/zero of=/dev/ubd0 bs=1M count=2 conv=fsync 2>/dev/null\n"
               "mke2fs -q -F -t ext4 -b 1024 /dev/ubd0\n"
               "debugfs -w -R 'write /etc/passwd copy' /dev/ubd0 2>/dev/null\n"
               "debugfs -R 'cat copy' /dev/ubd0 2>/dev/null | cmp - /etc/passwd\n"
               "e2fsck -fn /dev/ubd0 >/dev/null 2>&1\n"
               "blkid -p -o value -s TYPE /dev/ubd0 | grep -qx ext4\n")
    disk(case, "merge", base + ".cow", base + ".out")
    facts = json.loads(disk(case, "check", "--json", base + ".out").out)
    case.equal("facts", (facts["ok"], facts["file_system"]), (True, "ext"))
    r = guests.run({"0.image": base + ".out"},
                   "printf ',20M,L\\n,,L\\n' | sfdisk -q --no-reread --no-tell-kernel /dev/ubd0\nsfdisk -d /dev/ubd0")
    case.matches("the table", r.out, r"size= +40960")


@test("disks")
def permissions(case):
    guests = Guests(case)
    image = os.path.join(case.directory(), "image")
    disk(case, "create", "--size", "1M", image)
    r = guests.run({"0.image": image},
                   "setpriv --reuid=33 --regid=33 --clear-groups cat /dev/ubd0 2>&1 | tail -1\n"
                   "chown 33 /dev/ubd0; setpriv --reuid=33 --regid=33 --clear-groups wc -c /dev/ubd0")
    case.matches("a stranger", r.out, "Permission denied")
    case.matches("its owner", r.out, "1048576 /dev/ubd0")


@test("disks", users=ALL)
def fsync_survives_a_kill(case):
    """What the guest has synced is in the COW file although its kernel is killed: UML
    and others keep the bitmap to themselves."""
    guests = Guests(case)
    base = random_image(case, "base", 4 << 20)
    disk(case, "create", "--backing", base, base + ".cow")
    p = guests.start({"0.cow": base + ".cow"},
                     "yes 0123456789abcde | dd of=/dev/ubd0 bs=512 seek=3 count=9 iflag=fullblock conv=fsync,notrunc 2>/dev/null\n"
                     "echo ready; cat")
    facts = case.stats(p.guest)
    one, = facts["disks"]
    case.equal("name and files", (one["name"], one["image"], one["cow"]), ("ubd0", base, base + ".cow"))
    case.true("no write was counted", one["writes"] > 0 and one["write_bytes"] == 9 * 512)
    case.true("no flush was counted", one["flushes"] > 0)
    os.kill(facts["guest"]["kernel_pid"], 9)
    p.wait(60)
    disk(case, "merge", base + ".cow", base + ".out")
    want = bytearray(read(base))
    want[3 * 512:12 * 512] = b"0123456789abcde\n" * (9 * 512 // 16)
    case.true("it is lost", read(base + ".out") == bytes(want))


@test("disks")
def two_writers(case):
    guests = Guests(case)
    base = random_image(case, "base", 1 << 20)
    one, two = base + ".1", base + ".2"
    for cow in (one, two):
        disk(case, "create", "--backing", base, cow)
    p = guests.start({"0.cow": one}, "echo ready; cat")
    guests.refused({"0.cow": one}, f"disk.0: {one}: in use: another guest writes it")
    guests.refused({"5.image": base}, f"disk.5: {base}: in use: another guest reads it")
    guests.run({"0.cow": two, "1.image": base, "1.readonly": "yes"}, "cmp /dev/ubd0 /dev/ubd1")
    case.one_line_error(case.weir("disk", "commit", two), 1, "in use")
    p.communicate(b"", timeout=60)
    guests.run({"0.cow": one}, "true")


@test("disks")
def refused_disks(case):
    guests = Guests(case)
    base = random_image(case, "base", 1 << 20)
    disk(case, "create", "--backing", base, base + ".cow")
    guests.refused({"0.image": base + ".no"}, r"disk.0: .*base.no: cannot be opened")
    guests.refused({"0.image": base, "0.cow": base + ".no"}, "weir disk create --backing")
    guests.refused({"0.image": base + ".cow"}, "is a COW file")
    guests.refused({"0.cow": base}, "not a COW file")
    guests.refused({"0.image": os.path.dirname(base)}, "for writing: Is a directory|no block device")
    os.utime(base, (1, 1))
    guests.refused({"0.cow": base + ".cow"}, "changed since")


@test("disks", policies=(None,))
def no_fuse_no_disks(case):
    image = os.path.join(case.directory(), "image")
    disk(case, "create", "--size", "1M", image)
    r = case.command(case.run_argv(["true"], ["--set", f"disk.0.image={image}"]), env={"WEIR_TEST_MASK": "fuse"})
    case.one_line_error(r, 125, "/dev/fuse")


@test("disks", users=("root",))
def full_host_disk(case):
    """No room for the COW file: the guest is told so, and what it has synced stays."""
    Guests(case)
    place, run = full_file_system(case, "2m")
    weir, name, out = case.ctx.weir, case.ctx.unique(), os.path.join(case.directory(), "out")
    inside = ("dd if=/dev/urandom of=/dev/ubd0 bs=64k count=8 conv=fsync,notrunc 2>/dev/null || exit 7; "
              "dd if=/dev/ubd0 bs=64k count=8 iflag=direct 2>/dev/null | cksum; "
              "dd if=/dev/zero of=/dev/ubd0 bs=64k seek=8 count=64 conv=fsync,notrunc && exit 8; "
              "dd if=/dev/ubd0 bs=64k count=8 iflag=direct 2>/dev/null | cksum")
    r = run(f"truncate -s 8M {place}/b; {weir} disk create --backing {place}/b {place}/c\n"
            f"{weir} run -p {case.policy} -n {name} --set disk.0.cow={place}/c --set disk.0.direct=no -- sh -c '{inside}'\n"
            f"{weir} disk merge {place}/c {out}; head -c 512k {out} | cksum\n")
    case.status(r, 0)
    case.matches("the reason", r.err, "No space left")
    case.equal("sums", len(set(r.out.splitlines())), 1)


@test("disks", users=("root",))
def unsynced_is_flushed_in_time(case):
    guests = Guests(case)
    base = random_image(case, "base", 1 << 20)
    disk(case, "create", "--backing", base, base + ".cow")
    guests.start({"0.cow": base + ".cow"},
                 "dd if=/dev/zero of=/dev/ubd0 bs=4096 count=2 conv=notrunc 2>/dev/null\necho ready; cat")
    for _ in range(600):
        facts = json.loads(disk(case, "info", "--json", base + ".cow").out)
        if facts["cow_sectors"] == 16:
            return
        time.sleep(0.1)
    raise Failed("it is not in the COW file after a minute")


def cached_pages(path):
    """Of a file, in the host's page cache."""
    r = subprocess.run(["fincore", "-bnro", "PAGES", path], capture_output=True, text=True, check=True)
    return int(r.stdout)


def private_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private"))


@test("disks", users=("root",))
def one_copy_of_a_base(case):
    """Ten guests read all of a base: the host has its pages once, none of them in the guests' kernels."""
    need("fincore")
    guests, size = Guests(case), 32 << 20
    base = random_image(case, "base", size)
    running = []
    for i in range(10):
        disk(case, "create", "--backing", base, f"{base}.{i}")
        running.append(guests.start({"0.cow": f"{base}.{i}", "0.direct": "no"}, SHELL))
    kernels = [case.kernel_pid(p.guest) for p in running]
    # Buffers are there from the first megabyte on, however many follow.
    for p in running:
        tell(p, "dd if=/dev/ubd0 of=/dev/null bs=1M count=1 iflag=direct 2>/dev/null; echo read")
    before = sum(map(private_kib, kernels))
    sums = {tell(p, "dd if=/dev/ubd0 bs=1M iflag=direct 2>/dev/null | cksum") for p in running}
    case.equal("what they read", sums, {subprocess.run(["cksum"], stdin=open(base, "rb"), capture_output=True,
                                                       text=True, check=True).stdout.rstrip("\n")})
    more = sum(map(private_kib, kernels)) - before
    copies = (cached_pages(base) * 4096 + max(more, 0) * 1024) / size
    case.true(f"{copies:.2f} copies, at most 1.1", copies <= 1.1)

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# diskfs.sh - a file system: a long file written and read, a source tree unpacked and built
#
# From the caller, besides what lib.sh says: BENCH_ROW, BENCH_MOUNT (the disk to be mounted; empty:
# none), BENCH_DIR (a directory of the host's file system, for who mounts nothing). BENCH_N is the
# size of the file in MiB; its figures are those of one MiB.
. "${0%/*}/lib.sh"

top=$BENCH_DIR
if [ -n "$BENCH_MOUNT" ]; then
	top=$scratch/m
	mkdir m
	mount -t ubd "$BENCH_MOUNT" m
fi
work=$(mktemp -d "$top/bench.XXXXXX")
tidy_work() {
	rm -rf "$work"
	[ -z "$BENCH_MOUNT" ] || umount "$top"
}

case $BENCH_ROW in
fs-write)
	begin
	dd if=/dev/zero of="$work/file" bs=1M count="$BENCH_N" conv=fsync 2>said
	end
	;;
fs-read)
	dd if=/dev/zero of="$work/file" bs=1M count="$BENCH_N" conv=fsync 2>said
	# What the page cache has of it, it has no more.
	dd if="$work/file" iflag=nocache count=0 2>said
	begin
	dd if="$work/file" of=/dev/null bs=1M 2>said
	end
	;;
fs-build)
	tar -C "$BENCH_INPUTS" -cf src.tar src
	BENCH_N=1
	begin
	tar -C "$work" -xf src.tar
	make -s -C "$work/src" -j2
	end
	"$work/src/program" >printed
	cmp -s printed "$work/src/expected" || fail "the program prints $(head -c 60 printed)"
	;;
*) fail "no such row: $BENCH_ROW" ;;
esac
if [ "$BENCH_ROW" != fs-build ]; then
	[ "$(stat -c %s "$work/file")" = $((BENCH_N * 1048576)) ] || fail "the file is not whole: $(tail -n 1 said)"
fi
tidy_work
report "$BENCH_ROW" $((elapsed / BENCH_N))

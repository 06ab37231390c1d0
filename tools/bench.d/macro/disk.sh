#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# disk.sh - fio on a disk, past the page cache: the time of one transfer
#
# From the caller, besides what lib.sh says: BENCH_ROW, BENCH_DISK (a device, or natively the image
# itself), BENCH_SIZE (its bytes). BENCH_N is how many seconds.
. "${0%/*}/lib.sh"

case $BENCH_ROW in
disk-random) size=4 how=randread depth=32 ;;
disk-single) size=4 how=randread depth=1 ;;
disk-stream) size=1024 how=read depth=4 ;;
*) fail "no such row: $BENCH_ROW" ;;
esac

fio --name=disk --filename="$BENCH_DISK" --size="$BENCH_SIZE" --readonly --ioengine=libaio --direct=1 \
	--bs=${size}k --rw=$how --iodepth=$depth --runtime="$BENCH_N" --time_based \
	--output-format=terse --terse-version=3 --output=result
# Of a line of version 3, field 5 is the error, 6 the KiB that were read, 9 the ms that took.
read -r error ns <<END
$(awk -F ';' -v size=$size 'NR == 1 { print $5, $6 < size ? 0 : int($9 * 1e6 * size / $6) }' result)
END
[ "$error" = 0 ] || fail "fio ended with error $error"
[ "$ns" -gt 0 ] || fail "nothing was read"
report "$BENCH_ROW" "$ns"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# tar.sh - a tree of small text files through tar and gzip
. "${0%/*}/lib.sh"

cp -r "$BENCH_INPUTS/tree" tree
i=0
begin
while [ $i -lt "$BENCH_N" ]; do
	tar -cf - tree | gzip -6 >tree.tar.gz
	i=$((i + 1))
done
end
gzip -t tree.tar.gz || fail "the archive is broken"
have=$(tar -tzf tree.tar.gz | grep -c 'txt$') want=$(cat "$BENCH_INPUTS/tree.count")
[ "$have" = "$want" ] || fail "$have files in the archive, not $want"
report tar

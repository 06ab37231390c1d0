#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sqlite.sh - many small transactions, one large one, an index, look-ups and sums
. "${0%/*}/lib.sh"

begin
sqlite3 bench.db <"$BENCH_INPUTS/sql/insert.sql" >/dev/null
sqlite3 bench.db <"$BENCH_INPUTS/sql/select.sql" >printed
end
cmp -s printed "$BENCH_INPUTS/sql/expected" || fail "the sums differ: $(tail -n 1 printed)"
report sqlite

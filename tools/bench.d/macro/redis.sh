#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# redis.sh - redis-benchmark against redis-server over the loopback of the runner
. "${0%/*}/lib.sh"

redis-server --bind 127.0.0.1 --port "$BENCH_PORT" --dir "$scratch" --save '' --appendonly no \
	>server.log 2>&1 &
server=$!
"$BENCH_MICRO" connect "$BENCH_PORT" || fail "no server: $(tail -n 1 server.log)"
begin
redis-benchmark -p "$BENCH_PORT" -n "$BENCH_N" -c 10 -r 1000 -t set,get -q >printed 2>&1
end
[ "$(redis-cli -p "$BENCH_PORT" dbsize)" -gt 0 ] || fail "no key was set"
grep -q 'GET: .* requests per second' printed || fail "$(tail -c 100 printed)"
report redis

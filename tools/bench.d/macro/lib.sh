# SPDX-License-Identifier: Apache-2.0
# lib.sh - what every macro-benchmark does around its own work; sourced, by /bin/sh
#
# Each script prepares its input in a scratch directory on a tmpfs, calls begin, does the work,
# calls end, checks what came out and calls report. Time is read inside the runner, from the
# monotonic clock, so starting the runner does not count. Any command that fails ends the script
# with its status, which the caller names.
#
# From the caller: BENCH_MICRO (the micro-benchmark program), BENCH_INPUTS, BENCH_RUN (unique to the
# run), BENCH_N (how much work), BENCH_PORT (free on the host, and so everywhere).
set -eu

scratch=$(mktemp -d "/dev/shm/weir-bench-$BENCH_RUN.XXXXXX")
server=
tidy() {
	status=$?
	trap - EXIT
	if [ -n "$server" ]; then
		kill "$server" 2>/dev/null || :
		wait "$server" 2>/dev/null || :
	fi
	cd /
	rm -rf "$scratch"
	exit "$status"
}
trap tidy EXIT
trap 'exit 143' INT TERM HUP
cd "$scratch"
export HOME="$scratch" TMPDIR="$scratch"

begin() {
	started=$("$BENCH_MICRO" now)
}

end() {
	elapsed=$(($("$BENCH_MICRO" now) - started))
}

# fail WHAT: the work was done wrongly
fail() {
	echo "wrong result: $*" >&2
	exit 1
}

# report NAME [NS]: what the caller reads
report() {
	echo "{\"name\": \"$1\", \"n\": 1, \"ns\": [${2:-$elapsed}]}"
}
